"""However many causes a day's refusals have, few mails come of them; and drops are told as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from inbound_home import copied
from publication import MONDAY, at, outbox
from sqlalchemy import insert
from told_home import say, take

from newsletter import own_faults
from newsletter.app import App
from newsletter.letters import drain_system_mail
from newsletter.store.feedback import ProviderEvent

pytestmark = pytest.mark.slow

OPERATORS = ("otto@example.com", "olga@example.com")
QUARTER, DAY = timedelta(minutes=15), timedelta(days=1)


@pytest.fixture
def app(issues_home: Path, tmp_path: Path) -> Iterator[App]:
    app = copied(issues_home, tmp_path / "home", operators=OPERATORS)
    yield app
    app.engine.dispose()


def refused(app: App, *codes: str, now: datetime = MONDAY) -> None:
    """As events that were taken in: a refusal for each of these codes."""
    common = {"provider": "sendgrid", "kind": "blocked", "at": now, "received_at": now}
    with app.session() as session:
        rows = [
            {**common, "event_id": f"{now}-{n}", "twin": f"{now}-{n}", "code": code}
            for n, code in enumerate(codes)
        ]
        session.execute(insert(ProviderEvent).values(is_waiting=False), rows)


def heard(app: App, when: datetime = MONDAY + QUARTER) -> list[str]:
    return list(own_faults.tell(at(app, when)))


def mails(app: App) -> list[str]:
    """As they left, each on one line."""
    drain_system_mail(app)
    found = [path for path in outbox(app, "system") if path.name.startswith("own_fault")]
    return [" ".join(path.read_text().split()) for path in found]


def test_of_a_day_with_many_codes_five_are_told_alone_and_the_rest_in_one_mail(app: App) -> None:
    """Who runs a domain that we write to chooses the codes."""
    refused(app, *(f"5.7.{number}" for number in range(100, 420)), *["5.7.26"] * 3, "5.7.300")
    said = heard(app)
    assert len(said) == own_faults.MOST_A_DAY + 1
    assert said[:2] == [
        "3 refusals for our own fault (5.7.26), queued for 2 people",
        "2 refusals for our own fault (5.7.300), queued for 2 people",
    ]
    assert said[-1] == "316 refusals for our own fault (316 other causes), queued for 2 people"
    found = mails(app)
    assert len(found) == (own_faults.MOST_A_DAY + 1) * len(OPERATORS)
    rest = [mail for mail in found if "316 refusals with 316 other codes or reasons" in mail]
    assert len(rest) == len(OPERATORS)
    assert all("5.7.103 (1), 5.7.104 (1)" in mail for mail in rest)


def test_what_comes_later_that_day_has_the_places_that_are_left_and_no_more(app: App) -> None:
    refused(app, "5.7.1", "5.7.1", "5.7.23")
    assert len(heard(app)) == 2
    later = MONDAY + timedelta(hours=1)
    refused(app, *(f"5.7.{number}" for number in range(100, 110)), now=later)
    assert len(heard(app, later + QUARTER)) == 3 + 1
    last = later + timedelta(hours=1)
    refused(app, *(f"5.6.{number}" for number in range(1, 110)), now=last)
    assert heard(app, last + QUARTER) == []
    refused(app, "5.7.1", now=MONDAY + DAY)
    (said,) = heard(app, MONDAY + DAY + QUARTER)
    assert "(5.7.1)" in said


def test_the_largest_of_those_that_share_a_mail_are_named_in_it(app: App) -> None:
    many = [f"5.7.{code}" for code in range(100, 110) for _ in range(code - 99)]
    refused(app, *many)
    heard(app)
    (rest, _) = (mail for mail in mails(app) if "5 other codes" in mail)
    assert "5.7.104 (5), 5.7.103 (4), 5.7.102 (3), 5.7.101 (2), 5.7.100 (1)" in rest


def test_who_comes_second_of_two_schedulers_says_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(app, "5.7.1")
    with monkeypatch.context() as both_have_looked:
        both_have_looked.setattr(own_faults, "_told", lambda *_: set())
        assert len(heard(app)) == 1
        assert heard(app) == []


@pytest.mark.parametrize(
    ("reason", "name", "words"),
    [
        ("Recipient List over Package Quota", "recipient list over package quota", "larger plan"),
        ("Spam Content", "spam content", "own filter takes the issue for spam"),
        ("Invalid SMTPAPI header", "invalid smtpapi header", "X-SMTPAPI"),
    ],
)
def test_what_the_provider_does_not_even_try_for_a_fault_of_ours_is_told_by_its_reason(
    app: App, reason: str, name: str, words: str
) -> None:
    """It comes without a code, or with one that says nothing."""
    dropped = [say(app, reader, "dropped", reason=reason) for reader in (1, 2)]
    take(app, *dropped, say(app, 3, "dropped", reason=reason, status="5.0.0"))
    assert heard(app) == [f"3 refusals for our own fault ({name}), queued for 2 people"]
    assert heard(app) == []
    for mail in mails(app):
        assert "The provider does not even try to deliver our mail" in mail
        assert words in mail


@pytest.mark.parametrize("reason", ["Bounced Address", "Unsubscribed Address", "Invalid", "", "?"])
def test_a_drop_for_a_readers_sake_is_told_to_nobody(app: App, reason: str) -> None:
    take(app, say(app, 1, "dropped", reason=reason))
    assert heard(app) == []


def test_a_new_operator_is_told_as_much_as_the_others_and_these_nothing_twice(app: App) -> None:
    refused(app, *(f"5.7.{number}" for number in range(100, 110)))
    heard(app)
    more = app.settings.model_copy(update={"operators": (*OPERATORS, "oda@example.com")})
    said = heard(replace(app, settings=more))
    assert len(said) == own_faults.MOST_A_DAY + 1
    assert all(one.endswith("queued for 1 person") for one in said)
