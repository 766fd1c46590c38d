"""The client rules: what a mail uses, what that costs, and the ratchet of what is accepted.

To renew what is accepted, after a change of the shipped templates that is worth its cost:
NEWSLETTER_TEST_RENEW=1 pytest tests/unit/test_quality_clients.py, and look at the difference.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace

import issue_views as views
import pytest
from quality_cases import GOOD, RENDERER, VIEW, html, style

from newsletter.rendering.quality import Severity, check, clients, provenance, renew
from newsletter.rendering.quality.anatomy import dissect
from newsletter.rendering.view import ChangeView, CorrectionView

ACCEPTED = clients.DATA / "accepted.json"


def used(source: str) -> set[str]:
    return set(clients.known_features(dissect(source)))


def shipped_mails() -> list[str]:
    """Every mail the shipped templates make, with everything that may stand in one."""
    told = ChangeView(
        slug="a-vs-b",
        title="Alpha vs Beta",
        url="https://verdicts.example.com/comparisons/a-vs-b",
        day=views.issue_view().day,
        was="Ship Alpha over Beta, 75% to 50%.",
        now="Ship Beta over Alpha, 75% to 50%.",
        corrections=(CorrectionView(views.issue_view().day, "The price was wrong."),),
    )
    full = replace(views.issue_view(intro="Quiet.\n\nNot dull."), changes=(told,))
    hebrew = views.issue_view(publication=replace(views.PUBLICATION, language="he"))
    return [
        *(RENDERER.issue(view).html for view in (full, views.issue_view(), hebrew)),
        *(RENDERER.system(views.system_view(kind)).html for kind in sorted(views.SYSTEM_FACTS)),
    ]


def test_what_is_accepted_is_what_the_shipped_templates_use() -> None:
    features = renew.accepted_by(shipped_mails())
    if os.environ.get("NEWSLETTER_TEST_RENEW"):
        ACCEPTED.write_text(renew.accepted_file(features))
        clients.accepted.cache_clear()
    assert clients.accepted() == features, (
        "the shipped templates use other features of HTML and CSS than were accepted. Take out "
        "what is new; or, if it is worth its cost, run NEWSLETTER_TEST_RENEW=1 pytest "
        "tests/unit/test_quality_clients.py and commit newsletter/rendering/quality/data"
    )


def test_the_data_is_dated_and_says_where_it_comes_from() -> None:
    data = provenance()
    assert re.fullmatch(r"caniemail \d+\.\d+\.\d+", data["support"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", data["support_updated"])
    assert re.fullmatch(r"20\d\d-\d\d", data["shares_as_of"])
    assert data["shares"]
    assert "MIT License" in (clients.DATA / "caniemail.LICENSE").read_text()


def test_the_shares_are_of_known_programs_and_make_a_whole() -> None:
    shares = clients.shares().by_program
    assert set(shares) == set(clients.support().programs)
    assert sum(shares.values()) == pytest.approx(100)
    assert {program.partition(".")[0] for program in shares} >= {"apple-mail", "gmail", "outlook"}


def test_every_letter_belongs_to_a_program() -> None:
    support = clients.support()
    for feature, letters in support.letters.items():
        assert len(letters) == len(support.programs), feature
        assert set(letters) <= set("ynau"), feature


def test_what_fails_in_part_costs_half() -> None:
    shares = clients.shares().by_program
    letters = dict(
        zip(clients.support().programs, clients.support().letters["css-text-align"], strict=True)
    )
    price = clients.cost("css-text-align")
    lost = sum(shares[one] * {"n": 1, "a": 0.5}.get(letter, 0) for one, letter in letters.items())
    assert price.share == pytest.approx(lost, abs=0.06)


def test_a_new_feature_names_share_programs_and_place() -> None:
    (found,) = check(*html('\n<div class="box" style="border-radius:3px">rounded</div>'))
    assert found.rule == "client-support"
    assert found.severity is Severity.WARNING
    assert re.fullmatch(
        r"border-radius fails for \d[\d.]* % of readers: Outlook on Windows.*", found.what
    )
    assert re.search(r'HTML line \d+, column 1, <div class="box"> “rounded”', found.place)


def test_a_new_feature_of_a_style_block_names_its_line() -> None:
    found = [one for one in check(*style("p:hover { margin:0 }")) if one.rule.startswith("client")]
    assert [one.place.split(" ")[:2] for one in found] == [["style", "block,"]]
    assert ":hover fails for" in found[0].what


def test_a_feature_that_a_quarter_of_the_readers_lose_is_an_error() -> None:
    found = [one for one in check(*html('<video src="#"></video>')) if "<video>" in one.what]
    assert [one.severity for one in found] == [Severity.ERROR]


def test_an_accepted_feature_that_got_worse_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cheaper = {name: min(share, 3.0) for name, share in clients.accepted().items()}
    monkeypatch.setattr(clients, "accepted", lambda: cheaper)
    told = {one.what.partition(" fails")[0] for one in check(GOOD, VIEW)}
    assert "@media (prefers-color-scheme)" in told
    assert all(", 3 % when it was accepted" in one.what for one in check(GOOD, VIEW))


@pytest.mark.parametrize(
    ("source", "feature"),
    [
        ('<p style="display:flex">', "css-display-flex"),
        ('<p style="display:none">', "css-display-none"),
        ('<p style="width:calc(1px + 2%)">', "css-unit-calc"),
        ('<p style="width:2rem">', "css-unit-rem"),
        ('<p style="width:50%">', "css-unit-percent"),
        ('<p style="color:rgb(1,2,3)">', "css-rgb"),
        ('<p style="color:oklch(1 2 3)">', "css-modern-color"),
        ('<p style="--a:1;color:var(--a)">', "css-variables"),
        ('<p style="margin-inline-start:1px">', "css-margin-inline-start-end"),
        ('<p style="padding-left:1px">', "css-padding"),
        ('<p style="top:0">', "css-left-right-top-bottom"),
        ('<p style="background:linear-gradient(#000,#fff)">', "css-linear-gradient"),
        ('<p style="font-family:system-ui">', "css-sytem-ui"),
        ("<style>@font-face { src:x }</style>", "css-at-font-face"),
        ("<style>@media (orientation:portrait) { p { margin:0 } }</style>", "css-at-media"),
        (
            "<style>@media (orientation:portrait) { p { margin:0 } }</style>",
            "css-at-media-orientation",
        ),
        ("<style>a:hover { margin:0 }</style>", "css-pseudo-class-hover"),
        ("<style>p::before { margin:0 }</style>", "css-pseudo-element-before"),
        ("<style>ul > li { margin:0 }</style>", "css-selector-child"),
        ("<style>[data-x] p { margin:0 !important }</style>", "css-selector-attribute"),
        ("<style>[data-x] p { margin:0 !important }</style>", "css-important"),
        ("<style>p.a { margin:0 }</style>", "css-selector-chaining"),
        ("<video></video>", "html-video"),
        ("<ul></ul>", "html-lists"),
        ("<section></section>", "html-semantics"),
        ('<img src="a.webp?x=1">', "image-webp"),
        ('<img src="data:image/png;base64,AA">', "image-base64"),
        ('<img srcset="a 2x">', "html-srcset"),
        ('<a href="mailto:a@example.com">', "html-mailto-links"),
        ('<a href="#a">', "html-anchor-links"),
        ('<p aria-hidden="true">', "html-aria-hidden"),
        ('<input type="checkbox">', "html-input-checkbox"),
        ('<button type="submit">', "html-button-submit"),
    ],
)
def test_a_feature_is_recognised_where_it_stands(source: str, feature: str) -> None:
    assert feature in used(source)


@pytest.mark.parametrize(
    ("source", "feature"),
    [
        ("<p style=\"font-family:'2rem Grotesk'\">", "css-unit-rem"),
        ('<p style="color:#1em2em">', "css-unit-em"),
        ('<p style="-webkit-filter:none;mso-border-radius:1px">', "css-filter"),
        ("<p>display:flex</p>", "css-display-flex"),
        ("<!--[if mso]><video></video><![endif]-->", "html-video"),
        ('<a href="https://example.com/a.webp">', "image-webp"),
    ],
)
def test_what_only_looks_like_a_feature_is_none(source: str, feature: str) -> None:
    assert feature not in used(source)


def test_the_package_is_distilled_to_a_letter_a_program() -> None:
    stats = {"gmail": {"ios": {"2019": "n", "2023-01": "a #1"}}, "outlook": {"windows": {}}}
    data = {
        "last_update_date": "2026-05-13 14:45:41 +0000",
        "data": [{"slug": "css-new", "title": "new", "stats": stats}],
    }
    made = renew.distil({"name": "caniemail", "version": "9.9.9"}, data)
    assert (made["package"], made["updated"]) == ("caniemail 9.9.9", "2026-05-13")
    title, letters = made["features"]["css-new"]
    assert title == "new"
    assert dict(zip(made["programs"], letters, strict=True)) == {
        program: "a" if program == "gmail.ios" else "u" for program in made["programs"]
    }


def test_renewing_without_saying_what_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert renew.main([]) == 2
    assert "quality.renew caniemail" in capsys.readouterr().err


def test_the_stored_data_is_as_it_would_be_written() -> None:
    stored = json.loads(ACCEPTED.read_text())
    assert stored.keys() == {*provenance(), "features"}
