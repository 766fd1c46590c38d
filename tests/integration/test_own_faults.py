"""Refusals for our own fault: operators hear of them by mail, once a code and day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from inbound_home import copied
from publication import MONDAY, at, outbox
from sqlalchemy import text
from told_home import column, say, take

from newsletter import own_data, own_faults
from newsletter.app import App
from newsletter.delivery import fault_counts
from newsletter.letters import drain_system_mail

pytestmark = pytest.mark.slow

OPERATORS = ("otto@example.com", "olga@example.com")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
QUARTER = 15 * MINUTE
SPAM = {"type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 <a@b.example> is on a list"}
UNSIGNED = {"type": "blocked", "status": "5.7.26", "reason": "550 5.7.26 unauthenticated"}


@pytest.fixture
def app(issues_home: Path, tmp_path: Path) -> Iterator[App]:
    app = copied(issues_home, tmp_path / "home", operators=OPERATORS)
    yield app
    app.engine.dispose()


def refuse(app: App, *issues: int, subscriber_id: int = 1, **words: str) -> None:
    """That a reader's copies of these issues were refused, told now."""
    take(app, *(say(app, subscriber_id, "bounce", number, **words) for number in issues))


def heard(app: App) -> list[str]:
    return list(own_faults.tell(app))


def mails(app: App) -> list[str]:
    drain_system_mail(app)
    found = [path for path in outbox(app, "system") if path.name.startswith("own_fault")]
    return [path.read_text() for path in found]


def test_each_code_is_told_once_a_day_to_every_operator(app: App) -> None:
    refuse(app, 1, 2, **SPAM)
    refuse(app, 3, **UNSIGNED)
    later = at(app, MONDAY + QUARTER)
    assert heard(later) == [
        "2 refusals for our own fault (5.7.1), queued for 2 people",
        "1 refusal for our own fault (5.7.26), queued for 2 people",
    ]
    refuse(later, 4, **SPAM)
    assert heard(at(app, MONDAY + 2 * QUARTER)) == []
    assert len(mails(later)) == 4


def test_the_next_day_a_code_is_told_again_with_what_came_the_day_before(app: App) -> None:
    refuse(app, 1, **SPAM)
    heard(at(app, MONDAY + QUARTER))
    refuse(at(app, MONDAY + QUARTER), 2, 3, **SPAM)
    assert heard(at(app, MONDAY + DAY)) == []  # nothing new today
    refuse(at(app, MONDAY + DAY), 4, **SPAM)
    (said,) = heard(at(app, MONDAY + DAY + QUARTER))
    assert said == "1 refusal for our own fault (5.7.1), queued for 2 people"
    newest = [mail for mail in mails(app) if "24 Nov 2026" in mail]
    assert len(newest) == 2
    assert all("in the seven days before: 3." in " ".join(mail.split()) for mail in newest)


def test_a_burst_is_told_as_one_and_not_as_its_first_refusal(app: App) -> None:
    refuse(app, 1, **SPAM)
    assert heard(at(app, MONDAY + own_faults.GATHERED - MINUTE)) == []
    refuse(at(app, MONDAY + MINUTE), 2, 3, 4, **SPAM)
    (said,) = heard(at(app, MONDAY + own_faults.GATHERED))
    assert said.startswith("4 refusals")


def test_what_came_just_before_midnight_is_told_after_it(app: App) -> None:
    """And what came while nobody ticked, within three days."""
    midnight = MONDAY.replace(hour=0) + DAY
    refuse(at(app, midnight - MINUTE), 1, **SPAM)
    (said,) = heard(at(app, midnight + QUARTER))
    assert said.startswith("1 refusal")
    assert all("23 Nov 2026" in mail for mail in mails(app))
    refuse(at(app, midnight + QUARTER), 2, **SPAM)
    assert len(heard(at(app, midnight + 2 * DAY))) == 1
    refuse(at(app, midnight + 3 * DAY), 3, **UNSIGNED)
    assert heard(at(app, midnight + 6 * DAY)) == []


def test_a_mail_says_what_the_code_means_what_to_do_and_where_the_servers_words_are(
    app: App,
) -> None:
    refuse(app, 1, **UNSIGNED)
    heard(at(app, MONDAY + QUARTER))
    said = " ".join(mails(app)[0].split())
    for words in ("5.7.26", "SPF and DKIM both failed", "Set up SPF"):
        assert words in said
    assert "newsletter issue pause latest" in said
    assert "newsletter issue proof latest --csv" in said


def test_of_who_is_erased_no_word_goes_out_or_stays_in_a_mail(app: App) -> None:
    """Told before the erasure, sent after it; and what was sent is kept for good."""
    refuse(app, 1, **(SPAM | {"reason": "550 5.7.1 no mail for Bob Smith"}))
    heard(at(app, MONDAY + QUARTER))
    with app.session() as session:
        own_data.erase(app, session, 1, source="operator")
    assert len(mails(app)) == 2
    kept = column(app, "SELECT facts FROM system_mail WHERE kind = 'own_fault'")
    assert len(kept) == 2
    assert "Bob" not in " ".join(map(str, [*kept, *mails(app)]))


@pytest.mark.parametrize(
    "words",
    [
        {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"},
        {"type": "blocked", "status": "5.3.0", "reason": "550 later"},
        {"type": "blocked", "status": "4.7.1", "reason": "451 4.7.1 greylisted"},
    ],
)
def test_refusals_that_are_nobodys_fault_or_a_readers_are_not_told(
    app: App, words: dict[str, str]
) -> None:
    refuse(app, 1, 2, **words)
    assert heard(at(app, MONDAY + QUARTER)) == []


def test_a_new_operator_is_told_of_today_and_nobody_twice(app: App) -> None:
    refuse(app, 1, **SPAM)
    heard(at(app, MONDAY + QUARTER))
    more = app.settings.model_copy(update={"operators": (*OPERATORS, "oda@example.com")})
    assert heard(at(replace(app, settings=more), MONDAY + QUARTER)) == [
        "1 refusal for our own fault (5.7.1), queued for 1 person"
    ]


def test_nobody_to_tell_is_no_fault(issues_home: Path, tmp_path: Path) -> None:
    app = copied(issues_home, tmp_path / "home")
    refuse(app, 1, **SPAM)
    assert heard(at(app, MONDAY + QUARTER)) == []
    app.engine.dispose()


def test_looking_for_them_touches_refusals_only_and_never_sorts(app: App) -> None:
    """A tick looks each time; most events are no refusals."""
    within = {"value": "5.7.1", **fault_counts.within(MONDAY.date())}
    indexes = {
        fault_counts._FIRST_REFUSED: "ix_provider_event_refused",
        fault_counts._MANY_REFUSED: "ix_provider_event_refused",
        fault_counts._FIRST_DROPPED: "ix_provider_event_dropped",
        fault_counts._MANY_DROPPED: "ix_provider_event_dropped",
    }
    with app.session(readonly=True) as session:
        for statement, index in indexes.items():
            plan = text(f"EXPLAIN QUERY PLAN {statement}")
            binds = {name: str(value) for name, value in within.items() if f":{name}" in str(plan)}
            steps = [row.detail for row in session.execute(plan, binds)]
            tables = [step for step in steps if "provider_event" in step]
            assert tables, steps
            assert all(f"INDEX {index}" in step for step in tables), steps
            assert not [step for step in steps if "TEMP B-TREE" in step], steps
