"""The job that forgets: what it says, when it runs, and that figures outlive the events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Newsletter, commands, process
from old_store import store_at
from publication import MONDAY
from served import READER, Served, copied, id_of, make_home, own_page, press, served
from sqlalchemy import text

from newsletter import forgetting, labels, stats
from newsletter.store.engine import upgrade
from newsletter.store.feedback import ProviderEvent
from newsletter.tracking.figures import IssueFigures

pytestmark = pytest.mark.slow

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
A_MONTH_LATER, A_YEAR_AND_TWO_LATER = 31, 430  # days


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    """An issue that one of two readers followed a link of, and was told of by a provider."""
    with served(copied(sent_home, tmp_path)) as one:
        one.clock.forward(hours=2)
        link = f"/c/{one.app.keyring.delivery(1, id_of(one))}/1"
        assert one.client.get(link, headers={"user-agent": FIREFOX}).status_code == 302
        one.events()
        with one.app.session() as session:
            session.add(
                ProviderEvent(
                    provider="sendgrid",
                    event_id="e1",
                    twin="t1",
                    kind="unknown",
                    at=one.clock(),
                    received_at=one.clock(),
                    issue_id=1,
                    raw=f'{{"email": "{READER}"}}',
                )
            )
        one.clock.forward(hours=1)
        yield one


def forget(site: Served) -> list[str]:
    return list(forgetting.apply(site.app))


def counts(figures: IssueFigures) -> IssueFigures:
    """All of them but when they were counted and whether they stand for good."""
    return replace(figures, computed_at=MONDAY, is_sealed=False)


def test_it_says_what_it_did_and_runs_once_an_hour(site: Served) -> None:
    assert forget(site) == []
    site.clock.forward(days=A_MONTH_LATER)
    assert forget(site) == [
        "agents and networks cut, of events older than 30 days: 1",
        "addresses cut in what providers told more than 30 days ago: 1",
    ]
    with site.app.session() as session:
        session.execute(text("UPDATE bookmark SET last_id = 0 WHERE name = 'retention_events'"))
        session.execute(text("UPDATE event SET agent = 'whole again'"))
    assert forget(site) == []
    site.clock.forward(hours=1)
    assert forget(site) == ["agents and networks cut, of events older than 30 days: 1"]
    assert READER not in repr(site.rows("provider_event"))


def test_figures_outlive_their_events_and_stand_for_good(site: Served) -> None:
    assert list(labels.take_in(site.app)) == []
    before = stats.load(site.app, "latest", fresh=True)
    assert before.waterfall.clicks.human == 1
    site.clock.forward(days=A_MONTH_LATER)
    forget(site)
    assert counts(stats.load(site.app, "latest", fresh=True)) == counts(before)
    site.clock.forward(days=A_YEAR_AND_TWO_LATER)
    assert forget(site) == [
        "the figures of issue 1 stand for good, after 13 months",
        "events folded into the figures of their issues after 13 months: 1",
        "events of providers forgotten after 13 months: 1",
    ]
    assert site.rows("event") == site.rows("provider_event") == []
    after = stats.load(site.app, "latest", fresh=True)
    assert after.is_sealed
    assert counts(after) == counts(before)
    site.clock.forward(days=1)
    assert forget(site) == []


def test_nothing_goes_before_it_was_heard_of(site: Served) -> None:
    site.clock.forward(days=A_YEAR_AND_TWO_LATER)
    assert not [said for said in forget(site) if "folded" in said or "stand" in said]
    assert list(labels.take_in(site.app)) == []
    site.clock.forward(hours=1)
    assert len(forget(site)) == 3
    with site.app.session(readonly=True) as session:
        heard = session.execute(text("SELECT subscriber_id FROM engagement")).scalars().all()
    assert id_of(site) in heard


def test_an_issue_whose_figures_do_not_add_up_keeps_its_events(site: Served) -> None:
    labels.label_due(site.app)
    with site.app.session() as session:
        session.execute(text("UPDATE issue SET candidates = 99"))
    site.clock.forward(days=A_YEAR_AND_TWO_LATER)
    said = forget(site)
    assert any("issue 1 could not be sealed, its events stay" in sentence for sentence in said)
    assert len(site.rows("event")) == 1


def test_choices_made_from_a_mail_are_a_fact_about_its_issue(site: Served) -> None:
    press(site, "save")
    site.clock.forward(hours=1)
    labels.label_due(site.app)
    found = [(one["kind"], one["rule"]) for one in labels.of_reader(site.app, READER)]
    assert sorted(found) == [("click", "clicked"), ("preferences", "scanner_agent")]
    elsewhere = f"/preferences/{site.app.keyring.preferences(0, id_of(site))}"
    assert own_page(site) != elsewhere
    assert press(site, "save", elsewhere).status_code == 200
    assert len(labels.of_reader(site.app, READER)) == 2


def test_the_same_from_a_terminal(
    site: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = "2026-12-31T00:00:00Z"
    site.app.engine.dispose()
    listed = process(site.app.home, "events", "rules", "--json", now=now)
    assert (listed.code, listed.json["rules"][-1]["name"]) == (0, "unproven")
    monkeypatch.setenv("NEWSLETTER_HOME", str(site.app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", now)
    for newsletter in commands(monkeypatch, capfd):
        classified(newsletter)


def classified(newsletter: Newsletter) -> None:
    def told(*arguments: str) -> Any:
        said = newsletter("events", *arguments, "--json")
        assert said.code == 0
        return said.json

    done = told("classify")
    assert done["due"] == {"readers": 1, "events": 1, "changed": 1, "labels": {"human": 1}}
    assert done["again"]["events"] == 0
    again = told("classify", "--all")["again"]
    assert again == {"readers": 1, "events": 1, "changed": 0, "labels": {"human": 1}}
    (shown,) = told("show", READER)
    assert (shown["program"], shown["label"], shown["issue"]) == ("a browser", "human", "2026-W48")
    assert len(told("forget")["done"]) == 2
    (shown,) = told("show", READER)
    assert (shown["program"], shown["network"]) == ("a browser", "#1")


OLD_ROWS = """
INSERT INTO subscriber (id, address, address_key, status, created_at, name, frequency, is_tracked,
    language, timezone, confirmations_sent)
VALUES (1, 'a@example.com', 'a@example.com', 'active', '2026-01-01 00:00:00', '', 'weekly', 1,
    '', '', 0);
INSERT INTO issue (id, kind, week, slot_at, state, reason, wanted, choices, samples, planned_at)
VALUES (1, 'weekly', '2026-W01', '2026-01-01 00:00:00', 'done', '', '{}', '[]', 0,
    '2026-01-01 00:00:00');
INSERT INTO event (issue_id, subscriber_id, kind, at, method, agent, network)
VALUES (1, 1, 'click', '2026-01-02 00:00:00.000000', 'GET', '', ''),
    (1, 1, 'click', '2026-01-03 00:00:00.000000', 'GET', '', ''),
    (1, NULL, 'click', '2026-01-03 00:00:00.000000', 'GET', '', '')
"""


def test_what_came_in_before_there_were_rules_is_put_on_the_list(tmp_path: Path) -> None:
    engine = store_at(tmp_path / "old.db", "0003", OLD_ROWS)
    upgrade(engine)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM to_classify").all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(1, 1, "2026-01-03 00:00:00.000000")]
