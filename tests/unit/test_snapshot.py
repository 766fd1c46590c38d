"""Snapshots: what an issue is a function of, read back whole, and what differs between two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import issue_views as views
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.errors import RefusedError
from newsletter.rendering import examination, snapshot
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import Severity
from newsletter.rendering.view import IssueView
from newsletter.theme import DarkPalette, Palette, Theme

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

ROOT = Path(__file__).parents[2]
CALM = settings(
    deadline=None, database=None, max_examples=25, suppress_health_check=list(HealthCheck)
)
COLOURS = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)
ONE = views.issue_view((views.SEED,))
REVISIONS = {views.SEED.slug: 1}


def themes() -> st.SearchStrategy[Theme]:
    colours = dict.fromkeys(Palette.__dataclass_fields__, COLOURS)
    return st.builds(
        Theme,
        **colours,
        dark=st.builds(DarkPalette, **colours),
        logo_url=st.sampled_from(["", "https://verdicts.example.com/logo.png"]),
        logo_alt=st.sampled_from(["", "Verdikt «Ö»"]),
        logo_width=st.integers(16, 584),
    )


st.register_type_strategy(Theme, themes())


@CALM
@given(st.from_type(IssueView))
def test_every_view_survives_its_json(view: IssueView) -> None:
    stored = json.loads(json.dumps(snapshot.to_json(view)))
    assert snapshot.view_of(stored) == view


def test_a_field_that_came_later_has_its_default() -> None:
    older = snapshot.to_json(ONE)
    del older["publication"]["theme"]
    assert snapshot.view_of(older) == ONE


@pytest.mark.parametrize("change", ["a field too many", "a field too few", "no date"])
def test_a_view_of_another_version_is_refused_with_the_place(change: str) -> None:
    foreign = snapshot.to_json(ONE)
    if change == "a field too many":
        foreign["comparisons"][0]["tools"][1]["stars"] = 5
        place = r"view\.comparisons\[0\]\.tools\[1\]\.stars"
    elif change == "a field too few":
        del foreign["publication"]["name"]
        place = r"view\.publication\.name"
    else:
        foreign["day"] = "Tuesday"
        place = r"view\.day"
    with pytest.raises(RefusedError, match=place):
        snapshot.view_of(foreign)


def taken(renderer: Renderer, view: IssueView = ONE) -> snapshot.Snapshot:
    return snapshot.take(view, renderer.issue(view), REVISIONS)


def test_a_snapshot_survives_the_store_and_damage_shows() -> None:
    whole = taken(Renderer())
    stored = json.loads(json.dumps(whole.to_dict()))
    assert snapshot.read(stored) == whole
    assert whole.as_view() == ONE
    stored["view"]["comparisons"][0]["verdict"] = "Another verdict."
    with pytest.raises(RefusedError, match="damaged"):
        snapshot.read(stored)
    with pytest.raises(RefusedError, match="damaged"):
        snapshot.read({})


def test_a_snapshot_names_every_file_that_went_in_and_no_other() -> None:
    used = taken(Renderer()).templates
    assert {"weekly/body.mjml", "weekly/subject.txt", "parts/palette.jinja"} <= set(used)
    assert {origin for origin, _ in used.values()} == {"bundled"}
    assert not {name for name in used if name.startswith("confirm/")}


def test_a_second_render_names_the_same_files_as_the_first() -> None:
    renderer = Renderer()
    assert renderer.issue(ONE).templates == renderer.issue(ONE).templates


def test_where_a_template_computes_a_name_every_template_counts(tmp_path: Path) -> None:
    own(
        tmp_path,
        "weekly/subject.txt",
        "{% set which = 'confirm' %}{% include which ~ '/subject.txt' %}",
    )
    used = taken(Renderer(tmp_path)).templates
    assert used["weekly/subject.txt"][0] == "own"
    assert "confirm/subject.txt" in used


def own(folder: Path, name: str, text: str) -> None:
    path = folder / "email" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_nothing_differs_between_two_renders_of_one_view() -> None:
    then, now = taken(Renderer()), taken(Renderer())
    assert snapshot.differences(then, now) == ()
    assert snapshot.moved_on(then, now) == ()


def test_each_changed_template_and_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path, "weekly/subject.txt", "Ours")
    before = taken(Renderer(tmp_path))
    own(tmp_path, "weekly/subject.txt", "Ours, anew")
    own(tmp_path, "weekly/preheader.txt", "{% include 'parts/one_more.txt' %}")
    own(tmp_path, "parts/one_more.txt", "One more")
    installed = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "9.9" if name == "premailer" else installed(name)
    )
    assert snapshot.differences(before, taken(Renderer(tmp_path))) == (
        "template parts/one_more.txt is new",
        "template weekly/preheader.txt was the bundled one and is the publication's own now",
        "template weekly/subject.txt changed (own)",
        f"premailer {installed('premailer')} -> 9.9",
    )
    assert "template parts/one_more.txt is no longer used" in snapshot.differences(
        taken(Renderer(tmp_path)), taken(Renderer())
    )


def test_what_was_edited_since_is_named_by_revision_and_place() -> None:
    then = taken(Renderer())
    seed = replace(views.SEED, verdict="Another verdict.")
    publication = replace(views.PUBLICATION, postal_address="2 Other Street")
    today = snapshot.to_json(views.issue_view((seed,), publication=publication))
    assert snapshot.moved_on(then, replace(then, view=today, revisions={seed.slug: 3})) == (
        f"comparison {seed.slug}: revision 1 -> 3",
        "publication.postal_address is different now",
        "comparisons[0].verdict is different now",
    )


def test_a_template_that_plays_dice_is_an_error_finding(tmp_path: Path) -> None:
    own(tmp_path, "weekly/preheader.txt", "{{ range(99999)|random }} of {{ range(99999)|random }}")
    renderer = Renderer(tmp_path)
    proven = examination.proven(renderer, ONE, renderer.issue(ONE))
    found = next(one for one in proven.findings if one.rule == "reproducible")
    assert (found.severity, found.place) == (Severity.ERROR, "preheader, html")
    assert "templates" in found.hint


def test_a_sound_issue_is_proven_without_a_finding() -> None:
    renderer = Renderer()
    rendered = renderer.issue(ONE)
    assert examination.proven(renderer, ONE, rendered) is rendered


def test_two_processes_with_other_hash_seeds_render_the_same_bytes() -> None:
    script = (
        "import sys; sys.path.insert(0, 'tests/unit')\n"
        "import issue_views as views\n"
        "from newsletter.rendering.render import Renderer\n"
        "print(Renderer().issue(views.issue_view()).sha256)\n"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1
