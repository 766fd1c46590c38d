"""A publication's own look: colours, logo and language from settings, own templates on top."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import issue_views as views
import pytest

from newsletter.app import publication_of
from newsletter.errors import NotFoundError, RefusedError, SettingsError, TemplateError
from newsletter.rendering import examination
from newsletter.rendering.direction import is_right_to_left
from newsletter.rendering.mjml import packaged_templates
from newsletter.rendering.origins import Origin
from newsletter.rendering.overrides import copy_bundled, listed
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.view import IssueView
from newsletter.settings import described, load_settings
from newsletter.theme import DarkPalette, Palette, Theme

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

LOGO = "https://cdn.example.net/logo.png"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def themed(theme: Theme, *, language: str = "en") -> IssueView:
    publication = replace(views.PUBLICATION, theme=theme, language=language)
    return views.issue_view(publication=publication)


def shown_in(theme: Theme, *, language: str = "en") -> RenderedIssue:
    return Renderer().issue(themed(theme, language=language))


def test_a_theme_comes_from_file_and_environment_together(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "newsletter.toml").write_text(
        'language = "pt-BR"\n[theme]\naccent = "#0000AA"\nink = "#000000"\n'
        '[theme.dark]\nink = "#ffffff"\n'
    )
    monkeypatch.setenv("NEWSLETTER_THEME__ACCENT", "#aa0000")
    monkeypatch.setenv("NEWSLETTER_THEME__DARK__ACCENT", "#ffaaaa")
    settings = load_settings()
    assert publication_of(settings).theme == Theme(
        accent="#aa0000", ink="#000000", dark=DarkPalette(accent="#ffaaaa", ink="#ffffff")
    )
    assert publication_of(settings).language == "pt-BR"
    found = {key: (value, source) for key, value, source in described(settings)}
    assert found["theme.accent"] == ("#aa0000", "NEWSLETTER_THEME__ACCENT")
    assert found["theme.dark.accent"] == ("#ffaaaa", "NEWSLETTER_THEME__DARK__ACCENT")
    assert found["theme.dark.ink"] == ("#ffffff", "newsletter.toml")
    assert found["theme.logo_width"] == ("160", "default")
    assert "theme" not in found


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("NEWSLETTER_THEME__ACCENT", "green", "theme.accent .* write it as #0a6b4c"),
        ("NEWSLETTER_THEME__DARK__INK", "#fff", "theme.dark.ink .* write it as #0a6b4c"),
        ("NEWSLETTER_THEME__PAPER", "#ffffff;x:1", "theme.paper .* write it as"),
        ("NEWSLETTER_THEME__LOGO_URL", "logo.png", "theme.logo_url .* write it as https://"),
        ("NEWSLETTER_THEME__LOGO_URL", "javascript:alert(1)", "theme.logo_url"),
        ("NEWSLETTER_THEME__LOGO_URL", 'https://x.example/"onload', "theme.logo_url"),
        ("NEWSLETTER_THEME__LOGO_URL", "https://x.example;script-src/", "theme.logo_url"),
        ("NEWSLETTER_THEME__LOGO_URL", "https://[x/", "theme.logo_url"),
        ("NEWSLETTER_THEME__LOGO_ALT", "a\nb", "theme.logo_alt .* plain text"),
        ("NEWSLETTER_THEME__LOGO_WIDTH", "2000", "theme.logo_width .* less than or equal to 584"),
        ("NEWSLETTER_LANGUAGE", "English, please", "language .*BCP 47"),
    ],
)
def test_a_theme_that_cannot_be_used_is_named_with_what_to_write(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=re.compile(said, re.DOTALL)) as refused:
        load_settings()
    assert variable in str(refused.value)


def test_an_unknown_nested_key_names_the_nearest_known_one(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_THEME__DARK__ACENT", "#aa0000")
    with pytest.raises(SettingsError, match="did you mean NEWSLETTER_THEME__DARK__ACCENT"):
        load_settings()
    monkeypatch.delenv("NEWSLETTER_THEME__DARK__ACENT")
    (empty_folder / "newsletter.toml").write_text('[theme]\nlogo = "x"')
    with pytest.raises(
        SettingsError, match=r"(?s)no setting theme\.logo\b.*did you mean theme\.logo_"
    ):
        load_settings()
    (empty_folder / "newsletter.toml").write_text('theme = "green"')
    with pytest.raises(SettingsError, match="there is no setting theme"):
        load_settings()


def test_every_colour_reaches_the_mail_and_none_of_the_usual_ones_is_left() -> None:
    names = [field.name for field in fields(Palette)]
    light = {name: f"#{index:02x}0101" for index, name in enumerate(names, 16)}
    dark = {name: f"#{index:02x}0202" for index, name in enumerate(names, 16)}
    html = shown_in(Theme(**light, dark=DarkPalette(**dark))).html
    styles = "".join(re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL))
    assert {name for name, colour in light.items() if colour not in html} == set()
    assert {name for name, colour in dark.items() if colour not in styles} == set()
    usual = Theme()
    for name in names:
        assert getattr(usual, name) not in html
        assert getattr(usual.dark, name) not in html


def test_two_publications_in_one_process_keep_their_colours() -> None:
    renderer = Renderer()
    ours, theirs = Theme(accent="#123456"), Theme(accent="#654321")
    assert "#654321" in renderer.issue(themed(theirs)).html
    assert "#654321" not in renderer.issue(themed(ours)).html
    assert "#123456" in renderer.issue(themed(ours)).html


def test_a_logo_that_says_the_name_stands_in_for_the_wordmark() -> None:
    html = shown_in(Theme(logo_url=LOGO, logo_alt="Verdicts & Co.", logo_width=200)).html
    image = re.search(r"<img[^>]*logo\.png[^>]*>", html)
    assert image
    assert 'alt="Verdicts &amp; Co."' in image[0]
    assert 'width="200"' in image[0]
    assert 'role="presentation" aria-hidden="true" class="mk"' in html  # the marks of the verdicts
    assert wordmarks(html) == wordmarks(shown_in(Theme()).html) - 1


def test_a_logo_that_says_nothing_is_decoration_beside_the_wordmark() -> None:
    html = shown_in(Theme(logo_url=LOGO)).html
    image = re.search(r"<img[^>]*logo\.png[^>]*>", html)
    assert image
    assert 'alt=""' in image[0]
    assert wordmarks(html) == wordmarks(shown_in(Theme()).html)


def wordmarks(html: str) -> int:
    body = html[html.index("<body") :]
    return len(re.findall(r">\s*Weekly AI Tool Verdicts\s*<", body))


@pytest.mark.parametrize(
    ("language", "expected"),
    [("ar", True), ("he-IL", True), ("az-Arab", True), ("ckb", True), ("en", False),
     ("pt-BR", False), ("ar-Latn", False), ("de-1996", False)],
)  # fmt: skip
def test_the_direction_follows_the_language_and_its_script(language: str, expected: bool) -> None:
    assert is_right_to_left(language) is expected
    html = shown_in(Theme(), language=language).html
    assert f'lang="{language}"' in html
    assert f'dir="{"rtl" if expected else "ltr"}"' in html


def own(folder: Path, name: str, text: str) -> None:
    path = folder / "email" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def bundled(name: str) -> str:
    return (packaged_templates() / "email" / name).read_text(encoding="utf-8")


def examined(folder: Path) -> RenderedIssue:
    renderer, view = Renderer(folder), views.issue_view((views.SEED,))
    return examination.attributed(renderer, view, renderer.issue(view))


def test_a_finding_that_an_own_template_brings_names_it(tmp_path: Path) -> None:
    way_out = "{{ addresses.unsubscribe|attr }}"
    own(
        tmp_path,
        "weekly/body.mjml",
        bundled("weekly/body.mjml").replace(way_out, "https://x.example"),
    )
    own(tmp_path, "weekly/preheader.txt", bundled("weekly/preheader.txt"))
    found = examined(tmp_path).errors
    assert found
    assert all(one.place.startswith("own template weekly/body.mjml") for one in found)


def test_where_two_own_templates_bring_findings_each_names_its_own(tmp_path: Path) -> None:
    way_out = "{{ addresses.unsubscribe|attr }}"
    own(
        tmp_path,
        "weekly/body.mjml",
        bundled("weekly/body.mjml").replace(way_out, "https://x.example"),
    )
    own(tmp_path, "weekly/subject.txt", "Re: a subject")
    places = {one.rule: one.place for one in examined(tmp_path).findings}
    assert {place.partition(":")[0] for place in places.values()} == {
        "own template weekly/body.mjml",
        "own template weekly/subject.txt",
    }


def test_a_finding_of_the_content_blames_no_template(tmp_path: Path) -> None:
    own(tmp_path, "weekly/preheader.txt", "Ours: four of four.")
    renderer, view = Renderer(tmp_path), views.issue_view((views.SEED,), intro="TODO \x00")
    found = examination.attributed(renderer, view, renderer.issue(view)).findings
    assert found
    assert not [one for one in found if "own template" in one.place]


@pytest.mark.parametrize("whose", [Origin.OWN, Origin.BUNDLED])
def test_an_error_says_whether_the_template_is_own_or_bundled(
    whose: Origin, tmp_path: Path
) -> None:
    if whose is Origin.OWN:
        own(
            tmp_path,
            "parts/verdicts.mjml",
            "\n{% macro verdicts_table(x) %}{{ nope.x }}{% endmacro %}",
        )
        place = "own template parts/verdicts.mjml, line 2"
    else:  # an own part that lacks what the bundled body asks it for
        own(tmp_path, "parts/verdicts.mjml", "")
        place = "bundled template weekly/body.mjml, line "
    with pytest.raises(TemplateError) as caught:
        Renderer(tmp_path).issue(views.issue_view())
    assert caught.value.what.startswith(place)


def test_a_broken_tag_says_whose_it_is(tmp_path: Path) -> None:
    own(tmp_path, "confirm/body.mjml", "<mjml><mj-body></mjml>")
    with pytest.raises(TemplateError, match=r"own template confirm/body\.mjml: this is not MJML"):
        Renderer(tmp_path).system(views.system_view("confirm"))


def test_a_program_that_runs_for_weeks_sees_templates_change(tmp_path: Path) -> None:
    renderer, view = Renderer(tmp_path), views.issue_view((views.SEED,))
    before = renderer.issue(view)
    own(tmp_path, "parts/palette.jinja", bundled("parts/palette.jinja") + "{% set light = dark %}")
    changed = renderer.issue(view)
    assert changed.sha256 == Renderer(tmp_path).issue(view).sha256 != before.sha256
    (tmp_path / "email" / "parts" / "palette.jinja").unlink()
    assert renderer.issue(view).sha256 == before.sha256


def test_the_bundled_folder_is_nobodys_own() -> None:
    rendered = Renderer(packaged_templates()).issue(views.issue_view((views.SEED,)))
    assert {use.origin for use in rendered.templates} == {Origin.BUNDLED}
    with pytest.raises(RefusedError, match="bundled templates itself"):
        copy_bundled("weekly/body.mjml", packaged_templates())


@pytest.mark.slow
def test_copies_of_all_templates_render_the_very_same_mails(tmp_path: Path) -> None:
    for one in listed(tmp_path):
        copy_bundled(one.name, tmp_path)
    assert {(one.origin, one.note) for one in listed(tmp_path)} == {
        (Origin.OWN, "the same as the bundled one")
    }
    view = views.issue_view()
    copied, usual = Renderer(tmp_path).issue(view), Renderer().issue(view)
    assert {use.origin for use in copied.templates} == {Origin.OWN}
    assert (copied.html, copied.text, copied.sha256) == (usual.html, usual.text, usual.sha256)
    for kind in views.SYSTEM_FACTS:
        mail = views.system_view(kind)
        assert Renderer(tmp_path).system(mail).sha256 == Renderer().system(mail).sha256


def test_a_copy_never_overwrites_and_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    path = copy_bundled("weekly/body.txt", tmp_path)
    assert path == tmp_path / "email" / "weekly" / "body.txt"
    path.write_text("ours")
    with pytest.raises(RefusedError, match="already"):
        copy_bundled("email/weekly/body.txt", tmp_path)
    assert path.read_text() == "ours"
    assert [p.name for p in path.parent.iterdir()] == ["body.txt"]
    with pytest.raises(NotFoundError, match=r"did you mean weekly/body\.mjml"):
        copy_bundled("weekly/body.mjm", tmp_path)
    with pytest.raises(NotFoundError):
        copy_bundled("../pyproject.toml", tmp_path)


def test_the_list_tells_when_the_original_moved_on(tmp_path: Path) -> None:
    def note(name: str) -> str:
        return next(one.note for one in listed(tmp_path) if one.name == name)

    path = copy_bundled("weekly/subject.txt", tmp_path)
    path.write_text(path.read_text() + "!")
    assert note("email/weekly/subject.txt") == ""
    path.write_text(re.sub("sha256 [0-9a-f]{4}", "sha256 0000", path.read_text()))
    assert note("email/weekly/subject.txt") == "the bundled one has changed since it was copied"
    own(tmp_path, "weekly/extra.txt", "x")
    assert note("email/weekly/extra.txt") == "nothing bundled has this name"
