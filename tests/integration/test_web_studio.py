"""The editor's preview: everything about an issue, nothing to press, nobody from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from publication import open_home
from served import ISSUE_PATH, Served, copied, make_home, served, stands_in_order, visible_text

from newsletter import pipeline
from newsletter.editorial import issues
from newsletter.editorial.planning import Changes
from newsletter.rendering.slots import PLACEHOLDER

PREVIEW = f"/studio{ISSUE_PATH}"


@pytest.fixture(scope="module")
def planned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make_home(tmp_path_factory.mktemp("planned") / "home")
    app = open_home(home)
    pipeline.plan(app)
    app.engine.dispose()
    return home


@pytest.fixture
def site(planned_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(planned_home, tmp_path)) as one:
        yield one


def test_the_studio_lists_every_issue_with_its_state(site: Served) -> None:
    shown = visible_text(site.get("/studio").text)
    assert (
        stands_in_order(["2026-W48", "planned", "none", "0 errors", "24 November"], shown) is None
    )
    assert f'href="{PREVIEW}"' in site.get("/studio").text


def test_an_issue_shows_what_its_editor_decides_on(site: Served) -> None:
    with site.app.session(readonly=True) as session:
        issue = issues.find(session, "latest")
        stored = issues.rendered(session, issue.id)
    page = site.get(PREVIEW)
    shown = visible_text(page.text)
    wanted = [issue.subject, "Subject", issue.subject, "Preheader", issue.preheader, "planned"]
    assert stands_in_order(wanted, shown) is None
    for choice in issue.choices:
        assert stands_in_order([choice["slug"], choice["reason"]], shown) is None
    assert "The text part" in shown
    assert stands_in_order(stored.text.split()[:3], shown) is None
    assert "newsletter issue approve 2026-W48" in shown
    assert page.text.count("<iframe") == 2
    assert "<form" not in page.text
    assert not PLACEHOLDER.search(page.text)


def test_findings_stand_with_what_to_do(site: Served) -> None:
    finding = {"rule": "size", "severity": "error", "what": "Too <big>"}
    finding |= {"place": "HTML", "hint": "Cut it"}
    with site.app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rendered SET findings = ?", (json.dumps([finding]),))
    shown = visible_text(site.get(PREVIEW).text)
    assert stands_in_order(["error", "Too <big>", "size", "HTML", "Cut it"], shown) is None
    assert "1 error, 0 warnings" in visible_text(site.get("/studio").text)


def test_a_void_approval_says_why(site: Served) -> None:
    pipeline.approve(site.app, "latest", by="Edith")
    assert "by Edith" in visible_text(site.get(PREVIEW).text)
    pipeline.edit(site.app, "latest", Changes(subject="Another subject"))
    shown = visible_text(site.get(PREVIEW).text)
    assert stands_in_order(["Another subject", "void since", "edited"], shown) is None


def test_the_mail_is_shown_in_a_frame_that_can_do_nothing(site: Served) -> None:
    mail = site.get(f"{PREVIEW}/mail")
    policy = mail.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "frame-ancestors 'self'" in policy
    assert mail.headers["x-frame-options"] == "SAMEORIGIN"
    assert not PLACEHOLDER.search(mail.text)
    assert site.get(PREVIEW).text.count(" sandbox src=") == 2


def test_the_frame_answers_for_light_and_dark_itself(site: Served) -> None:
    light, dark = (site.get(f"{PREVIEW}/mail?scheme={one}").text for one in ("light", "dark"))
    assert "prefers-color-scheme" not in light + dark
    assert light.replace("(max-width:0)", "(min-width:0)") == dark
    assert light != dark


def test_an_issue_that_was_never_rendered_has_a_page_and_no_frames(site: Served) -> None:
    with site.app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE issue SET rendered_id = NULL")
    page = site.get(PREVIEW)
    assert (page.status_code, "<iframe" in page.text) == (200, False)
    assert site.get(f"{PREVIEW}/mail").status_code == 404


@pytest.mark.parametrize("path", ["/studio/issues/2031-w01", "/studio/issues/nonsense"])
def test_an_issue_that_is_not_there_is_a_404(site: Served, path: str) -> None:
    assert site.get(path).status_code == 404


@pytest.mark.parametrize(
    ("client", "host", "headers"),
    [
        ("198.51.100.7", "127.0.0.1", {}),
        ("2001:db8::1", "localhost", {}),
        ("testclient", "localhost", {}),
        ("127.0.0.1", "verdicts.example.com", {}),
        ("127.0.0.1", "127.0.0.1.evil.example", {}),
        ("127.0.0.1", "localhost", {"X-Forwarded-For": "127.0.0.1"}),
        ("127.0.0.1", "localhost", {"Forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", "localhost", {"X-Real-IP": "127.0.0.1"}),
        ("127.0.0.1", "localhost", {"Via": "1.1 proxy"}),
    ],
)
def test_nobody_from_elsewhere_sees_the_studio(
    planned_home: Path, tmp_path: Path, client: str, host: str, headers: dict[str, str]
) -> None:
    home = copied(planned_home, tmp_path)
    with served(home, client=(client, 1), at=f"http://{host}") as site:
        for path in ("/studio", PREVIEW, f"{PREVIEW}/mail"):
            page = site.get(path, headers=headers)
            assert page.status_code == 403
            assert "machine that serves them" in page.text
        assert site.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("client", "host"), [("127.0.0.1", "localhost:8000"), ("::1", "[::1]:8000")]
)
def test_this_machine_sees_it_by_any_of_its_names(
    planned_home: Path, tmp_path: Path, client: str, host: str
) -> None:
    with served(copied(planned_home, tmp_path), client=(client, 1), at=f"http://{host}") as site:
        assert site.get("/studio").status_code == 200
