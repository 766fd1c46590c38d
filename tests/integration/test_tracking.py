"""Stored links and appended facts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from newsletter.errors import RefusedError, StoreError
from newsletter.store import feedback, models
from newsletter.store.engine import open_engine, session_on
from newsletter.tracking import events, links

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
URL = "https://example.com/a?b=c&d=e#f"


def store_issue(database: Engine) -> int:
    with session_on(database) as session:
        issue = models.Issue(week="2026-W48", slot_at=NOW, state="planned", planned_at=NOW)
        session.add(issue)
        session.flush()
        assert issue.id is not None
        session.add(models.IssueLink(issue_id=issue.id, n=1, url=URL))
        return issue.id


def test_a_link_is_read_from_the_store(database: Engine, tmp_path: Path) -> None:
    issue_id = store_issue(database)
    with session_on(database, readonly=True) as session:
        assert links.read_link(tmp_path, session, issue_id, 1) == URL
        assert links.read_link(tmp_path, session, issue_id, 2) is None
        assert links.read_link(tmp_path, session, issue_id + 1, 1) is None


def test_a_link_is_read_from_the_file_when_there_is_no_store(tmp_path: Path) -> None:
    links.write_links(tmp_path, 7, {1: URL, 12: "http://example.com/"})
    assert links.filed_link(tmp_path, 7, 1) == URL
    assert links.filed_link(tmp_path, 7, 12) == "http://example.com/"
    assert links.filed_link(tmp_path, 7, 2) is None
    assert links.filed_link(tmp_path, 8, 1) is None


def test_what_was_frozen_with_the_issue_is_asked_before_the_store(
    database: Engine, tmp_path: Path
) -> None:
    issue_id = store_issue(database)
    links.write_links(tmp_path, issue_id, {1: "https://example.com/frozen"})
    with session_on(database, readonly=True) as session:
        assert links.read_link(tmp_path, session, issue_id, 1) == "https://example.com/frozen"
    (tmp_path / "links" / f"{issue_id}.json").write_text("damaged")
    with session_on(database, readonly=True) as session:
        assert links.read_link(tmp_path, session, issue_id, 1) == URL


def test_stored_links_never_change(database: Engine, tmp_path: Path) -> None:
    issue_id = store_issue(database)
    later = [(1, "https://example.com/other", ""), (2, "https://example.com/two", "Two")]
    for _ in range(2):
        with session_on(database) as session:
            links.store_links(session, issue_id, later)
            links.store_links(session, issue_id, [])
    with session_on(database, readonly=True) as session:
        assert links.read_link(tmp_path, session, issue_id, 1) == URL
        assert links.read_link(tmp_path, session, issue_id, 2) == "https://example.com/two"
    with session_on(database) as session, pytest.raises(RefusedError, match="link 3"):
        links.store_links(session, issue_id, [(3, "javascript:alert(1)", "")])


def test_a_store_without_tables_is_no_obstacle(tmp_path: Path) -> None:
    links.write_links(tmp_path, 7, {1: URL})
    empty = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with session_on(empty, readonly=True) as session:
        assert links.read_link(tmp_path, session, 7, 1) == URL
    empty.dispose()


def test_links_are_written_again_and_read_anew(tmp_path: Path) -> None:
    path = links.write_links(tmp_path, 7, {1: URL})
    assert links.filed_link(tmp_path, 7, 1) == URL
    path.write_text(json.dumps({"1": "https://example.com/new"}))
    assert links.filed_link(tmp_path, 7, 1) == "https://example.com/new"
    assert [one.name for one in path.parent.iterdir()] == ["7.json"]


@pytest.mark.parametrize("content", ["", "[", "[]", '{"1": 5}', '{"1": "javascript:alert(1)"}'])
def test_a_damaged_file_leads_nowhere(tmp_path: Path, content: str) -> None:
    path = links.write_links(tmp_path, 7, {1: URL})
    path.write_text(content)
    assert links.filed_link(tmp_path, 7, 1) is None


@pytest.mark.parametrize("n", [-1, 2**63, 10**400])
def test_a_number_no_database_holds_is_no_link(database: Engine, tmp_path: Path, n: int) -> None:
    with session_on(database, readonly=True) as session:
        assert links.read_link(tmp_path, session, 1, n) is None
        assert links.read_link(tmp_path, session, n, 1) is None


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//example.com/",
        "/relative",
        "ftp://example.com/",
        "data:text/html,x",
        "mailto:a@example.com",
        "https://",
        "https:///path",
        "https://exa mple.com/",
        "https://example.com/\r\nSet-Cookie: a=b",
        "https://example.com\\@evil.example/",
        "https://[::1",
        "https://example.com/" + "a" * 2_000,
        "",
    ],
)
def test_only_web_addresses_are_links(tmp_path: Path, url: str) -> None:
    with pytest.raises(RefusedError, match="link 2 of issue 7"):
        links.write_links(tmp_path, 7, {1: URL, 2: url})
    assert not (tmp_path / "links" / "7.json").exists()


def test_a_link_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "links").write_text("in the way")
    with pytest.raises(StoreError, match="links of issue 7"):
        links.write_links(tmp_path, 7, {1: URL})


@given(url=st.text(max_size=60) | st.builds("https://example.com/{}".format, st.text(max_size=60)))
def test_what_counts_as_a_web_address_can_stand_in_a_header(url: str) -> None:
    if links.is_web_address(url):
        assert url.isprintable()
        assert url.lower().startswith(("http://", "https://"))


@given(urls=st.dictionaries(st.integers(1, 99), st.integers(0, 9_999), max_size=9))
def test_links_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, urls: dict[int, int]
) -> None:
    home = tmp_path_factory.mktemp("links")
    wanted = {n: f"https://example.com/é/{page}" for n, page in urls.items()}
    links.write_links(home, 1, wanted)
    assert {n: links.filed_link(home, 1, n) for n in wanted} == wanted


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("198.51.100.77", "198.51.100.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::ffff:198.51.100.77", "198.51.100.0/24"),
        ("testclient", ""),
    ],
)
def test_an_event_keeps_a_network_and_no_address(database: Engine, ip: str, network: str) -> None:
    issue_id = store_issue(database)
    with session_on(database) as session:
        events.append(
            session,
            issue_id=issue_id,
            subscriber_id=None,
            kind=events.EventKind.CLICK,
            link=3,
            at=NOW,
            method="GET",
            agent="a" * 1_000,
            network=ip,
        )
    with session_on(database, readonly=True) as session:
        (kept,) = session.connection().execute(text("SELECT network, length(agent) FROM event"))
        stored = session.get(feedback.Event, 1)
    assert tuple(kept) == (network, events.MAX_AGENT_CHARACTERS)
    assert stored is not None
    assert (stored.kind, stored.link, stored.at, stored.method) == ("click", 3, NOW, "GET")
