"""A correction beside its week's issue: previewed in the studio, never in the archive's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from publication import WEEK
from served import ISSUE_PATH, Served, copied, make_home, served, visible_text

from newsletter import corrections, letters, pipeline
from newsletter.editorial import issues

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

REF = f"{WEEK}/correction"
PREVIEW = f"/studio{ISSUE_PATH}-correction"


@pytest.fixture(scope="module")
def corrected_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An issue and its correction, both sent; it was written after the issue's slot."""
    home = make_home(tmp_path_factory.mktemp("corrected") / "home", sent=True)
    with served(home) as one:
        one.clock.forward(days=2)
        corrections.correct(one.app, WEEK, text="It costs $21 a month, not $12.")
        pipeline.approve(one.app, REF, by="the editor")
        pipeline.send(one.app, REF)
    return home


@pytest.fixture
def site(corrected_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(corrected_home, tmp_path)) as one:
        yield one


def test_the_archive_lists_the_weekly_issue_once_and_shows_its_own_bytes(site: Served) -> None:
    listed = site.get("/issues").text
    with site.app.session(readonly=True) as session:
        subject = issues.find(session, WEEK).subject
    assert visible_text(listed).count(subject) == 1
    assert "Correction to the issue" not in visible_text(listed)
    assert "$21 a month, not $12" not in site.get(ISSUE_PATH).text
    assert site.get(f"{ISSUE_PATH}-correction").status_code == 404


def test_the_front_page_and_the_welcome_lead_to_the_weekly_issue(site: Served) -> None:
    assert "Correction to the issue" not in visible_text(site.get("/").text)
    site.clock.forward(days=3)
    with site.app.session() as session:
        letter = letters._latest_issue(site.app, session)
        weekly = issues.find(session, WEEK)
    assert letter["issue_subject"] == weekly.subject


def test_the_studio_shows_the_correction_and_what_to_type_next(site: Served) -> None:
    assert f'href="{PREVIEW}"' in site.get("/studio").text
    shown = visible_text(site.get(PREVIEW).text)
    assert REF in shown
    assert f"newsletter issue send {REF}" in shown
    assert "Chosen, and why" not in shown
    assert "It costs $21 a month, not $12." in site.get(f"{PREVIEW}/mail").text
    assert "Chosen, and why" in visible_text(site.get(f"/studio{ISSUE_PATH}").text)


def test_an_address_that_is_nearly_a_corrections_has_no_page(site: Served) -> None:
    for path in (f"/studio{ISSUE_PATH}-corrections", "/studio/issues/2026-W48-correction"):
        assert site.get(path).status_code == 404
