"""What operators type: tags, bulk acts, undo, the audit log, one reader's file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Newsletter, Said, commands

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

CONSENT = ("--consent", "ticked the box at our stand", "--given-on", "2026-05-31")


@pytest.fixture
def desk(
    database_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    """Runs `newsletter ...` in a home of the test's own, with nobody at the keyboard."""
    monkeypatch.setenv("NEWSLETTER_HOME", str(database_file.parent))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-23T12:00:00Z")
    monkeypatch.setattr("getpass.getuser", lambda: "olga")

    yield from commands(monkeypatch, capfd)


@pytest.fixture
def three(desk: Newsletter) -> Newsletter:
    """The same, with Ann, Bob and Eve on the list."""
    for name in ("ann", "bob", "eve"):
        added = desk("subscribers", "add", f"{name}@example.com", "--name", name.title(), *CONSENT)
        assert added.code == 0
    return desk


def bulk(desk: Newsletter, *arguments: str) -> Said:
    return desk("subscribers", "bulk", *arguments)


def status_of(desk: Newsletter, name: str) -> str:
    return str(desk("subscribers", "show", f"{name}@example.com", "--json").json["status"])


def test_tags_are_put_on_taken_off_and_counted(three: Newsletter) -> None:
    said = three(
        "subscribers", "tag", "ann@example.com", "Bob@example.com", "--add", "vip", "--add", "beta"
    )
    assert (said.code, "tag vip: 2 readers, entry 4" in said.out) == (0, True)
    assert three("subscribers", "tags", "--json").json == {"beta": 2, "vip": 2}
    three("subscribers", "tag", "bob@example.com", "--remove", "vip")
    assert three("subscribers", "tags").out == "beta\t2\nvip\t1\n"
    listed = three("subscribers", "list", "--tag", "vip", "--json").json
    assert [one["address"] for one in listed] == ["ann@example.com"]


def test_an_unknown_address_among_many_tags_nobody(three: Newsletter) -> None:
    said = three("subscribers", "tag", "ann@example.com", "no@example.com", "--add", "vip")
    assert (said.code, "is not on the list" in said.err) == (1, True)
    assert three("subscribers", "tags", "--json").json == {}
    assert three("subscribers", "tag", "ann@example.com").code == 2


def test_a_bulk_act_shows_whom_it_affects_before_anything_happens(three: Newsletter) -> None:
    three("subscribers", "unsubscribe", "eve@example.com")
    dry = bulk(three, "pause", "--search", "example", "--dry-run")
    assert dry.code == 0
    assert dry.out == (
        "pause: this affects 2 readers\n  ann@example.com\n  bob@example.com\n"
        "left out: 1 reader\n  unsubscribed  1\n"
    )
    asked = bulk(three, "pause", "--search", "example")
    assert (asked.code, "nothing was changed" in asked.err) == (1, True)
    assert "this affects 2 readers" in asked.out
    assert status_of(three, "ann") == "active"


def test_a_bulk_act_is_done_logged_and_taken_back(three: Newsletter) -> None:
    done = bulk(three, "unsubscribe", "--status", "active", "--yes", "--json").json
    assert done == {
        "dry_run": False, "action": "unsubscribe", "affected": 3, "left_out": {}, "entry": 4,
        "sample": ["ann@example.com", "bob@example.com", "eve@example.com"],
    }  # fmt: skip
    assert status_of(three, "bob") == "unsubscribed"
    dry = three("subscribers", "undo", "4", "--dry-run")
    assert "undo of unsubscribe: this affects 3 readers" in dry.out
    assert three("subscribers", "undo", "4").code == 1
    undone = three("subscribers", "undo", "4", "--yes", "--by", "Otto")
    assert undone.out == "undo of unsubscribe: 3 readers, entry 5 of the audit log\n"
    assert status_of(three, "bob") == "active"
    again = three("subscribers", "undo", "4", "--yes")
    assert (again.code, "was undone by entry 5" in again.err) == (1, True)


def test_a_rule_chooses_as_a_segment_would(three: Newsletter) -> None:
    three("subscribers", "tag", "bob@example.com", "--add", "vip")
    done = bulk(three, "pause", "--where", 'tag = "vip"', "--yes", "--json").json
    assert done["sample"] == ["bob@example.com"]
    listed = three("subscribers", "list", "--where", 'not tag = "vip"').out
    assert [line.split("\t")[0] for line in listed.splitlines()] == [
        "ann@example.com",
        "eve@example.com",
    ]
    refused = bulk(three, "pause", "--where", "tagg = 1", "--yes")
    assert (refused.code, "tagg" in refused.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause",),
        ("burn", "--status", "active"),
        ("tag", "--status", "active"),
        ("pause", "vip", "--status", "active"),
        ("pause", "--status", "nobody"),
        ("pause", "--status", "active", "--json"),
    ],
)
def test_a_bulk_act_that_does_not_say_enough_is_a_usage_error(
    desk: Newsletter, arguments: tuple[str, ...]
) -> None:
    assert bulk(desk, *arguments).code == 2


def test_a_bulk_act_on_nobody_is_said_and_logs_nothing(three: Newsletter) -> None:
    said = bulk(three, "untag", "vip", "--status", "active", "--yes")
    assert (said.code, said.out.startswith("untag vip: this affects nobody")) == (0, True)
    assert len(three("audit", "list", "--json").json) == 3


def test_a_person_at_the_keyboard_is_asked(
    three: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert bulk(three, "pause", "--status", "active").code == 1
    assert status_of(three, "ann") == "active"
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    done = bulk(three, "pause", "--status", "active")
    assert "pause: 3 readers, entry 4 of the audit log" in done.out
    assert "newsletter subscribers undo 4" in done.out
    assert status_of(three, "ann") == "paused"


def test_the_log_says_who_did_what_and_to_whom(three: Newsletter) -> None:
    three("subscribers", "tag", "ann@example.com", "--add", "vip", "--by", "Otto")
    three("suppressions", "add", "bob@example.com", "--because", "asked by phone")
    three("suppressions", "remove", "bob@example.com", "--because", "a mistake")
    three("suppressions", "add", "nobody@example.com")
    entries = three("audit", "list", "--json").json
    assert [(one["by"], one["action"], one["readers"]) for one in entries] == [
        ("olga", "suppress address", 0),
        ("olga", "lift suppression", 1),
        ("olga", "suppress address", 1),
        ("Otto", "tag", 1),
        *(("olga", "add", 1) for _ in range(3)),
    ]
    assert "@" not in json.dumps(entries)
    assert three("audit", "list", "--by", "Otto").out.splitlines() == [
        "4\t2026-11-23 12:00 UTC\tOtto\ttag vip\t1\t"
    ]
    assert three("audit", "list", "--since", "2026-11-24", "--json").json == []
    assert three("audit", "list", "--since", "yesterday").code == 2
    shown = three("audit", "show", "4", "--json").json
    assert shown["touched"] == [
        {"id": 1, "address": "ann@example.com", "status": "active", "before": "without vip"}
    ]
    assert "ann@example.com\twithout vip\tactive\t1" in three("audit", "show", "4").out
    assert three("audit", "show", "99").code == 1


def test_one_readers_file_holds_all_there_is(three: Newsletter) -> None:
    three("subscribers", "tag", "ann@example.com", "--add", "vip")
    three("suppressions", "add", "ann@example.com", "--because", "asked by phone")
    facts = three("subscribers", "show", "Ann@example.com", "--json").json
    assert {"address", "status", "suppressed", "confirmed_at", "consent", "deliveries"} <= set(
        facts
    )
    assert (facts["tags"], facts["suppressed"]) == (["vip"], "manual")
    assert facts["suppression"]["detail"] == "asked by phone"
    assert facts["choices"]["frequency"] == "weekly"
    assert facts["engagement"] == {"last_human_at": None, "issues_without": 0, "soft_bounces": 0}
    shown = three("subscribers", "show", "ann@example.com").out
    for line in (
        "suppressed  manual, since 2026-11-23 12:00 UTC (asked by phone)",
        "2026-11-23 12:00 UTC  added by operator",
        "“ticked the box at our stand”",
        "given on 2026-05-31",
        "2026-11-23 12:00 UTC  tag vip by olga (entry 4)",
    ):
        assert line in shown


def test_the_list_comes_in_pages_by_id(three: Newsletter) -> None:
    first = three("subscribers", "list", "--limit", "2", "--json").json
    assert [one["id"] for one in first] == [1, 2]
    said = three("subscribers", "list", "--limit", "2")
    assert (len(said.out.splitlines()), "--after 2" in said.err) == (2, True)
    assert three("subscribers", "list", "--after", "2", "--limit", "2").out.endswith("\t3\n")
    assert "--after" not in three("subscribers", "list", "--after", "2", "--limit", "2").err


def test_a_search_finds_or_says_that_it_did_not(three: Newsletter) -> None:
    found = three("subscribers", "search", "BO", "--json")
    assert (found.code, [one["address"] for one in found.json]) == (0, ["bob@example.com"])
    nobody = three("subscribers", "search", "nobody", "--json")
    assert (nobody.code, nobody.json) == (1, [])
    assert three("subscribers", "search", " ").code == 2


def test_an_erasure_asks_first_and_leaves_nobody_behind(three: Newsletter) -> None:
    three("subscribers", "tag", "ann@example.com", "--add", "vip")
    asked = three("subscribers", "erase", "ann@example.com")
    assert (asked.code, "nothing was changed" in asked.err) == (1, True)
    assert status_of(three, "ann") == "active"
    erased = three("subscribers", "erase", "Ann@example.com", "--yes", "--by", "Otto", "--json")
    assert (erased.code, erased.json["outcome"]) == (0, "erased")
    assert three("subscribers", "show", "ann@example.com").code == 1
    log = three("audit", "list", "--action", "erase", "--json").json
    assert [(one["by"], one["readers"]) for one in log] == [("Otto", 1)]
    tagged = three("audit", "show", "4", "--json").json
    assert (tagged["erased"], tagged["touched"]) == (1, [])
    again = three("subscribers", "add", "ann@example.com", *CONSENT)
    assert (again.code, "kept suppressed" in again.out) == (1, True)
