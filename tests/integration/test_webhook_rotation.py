"""A new secret for an endpoint: no message is missed, and the old one signs no longer than said."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from old_store import store_at
from publication import MONDAY
from sqlalchemy import text
from webhook_home import Home, opened
from webhook_receiver import Act, Receiver

from newsletter import cli
from newsletter.errors import NotFoundError, RefusedError
from newsletter.store.engine import (
    alembic_config,
    schema_differences,
    session_on,
    upgrade,
)
from newsletter.webhooks import endpoints, messages, old_secrets
from newsletter.webhooks.delivery import try_now
from subscribers import audit

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path / "home") as home:
        yield home


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def rotate(home: Home, number: int, keep: timedelta = DAY) -> str:
    with home.app.session() as session:
        return endpoints.rotate(session, number, keep=keep, by="ann", now=home.clock())[1]


def is_known_by(receiver: Receiver, secret: str, home: Home) -> bool:
    """Whether a receiver that has this secret believes the next call."""
    receiver.secret, before = secret, len(receiver.unsigned)
    try_now(home.app, 1)
    return len(receiver.unsigned) == before


def test_until_its_end_the_old_secret_signs_beside_the_new_one_and_then_no_more(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    old = receiver.secret
    new = rotate(home, number)
    assert old != new
    home.clock.now = MONDAY + DAY - timedelta(seconds=1)
    assert is_known_by(receiver, old, home)
    assert is_known_by(receiver, new, home)
    home.clock.now = MONDAY + DAY
    assert not is_known_by(receiver, old, home)
    assert is_known_by(receiver, new, home)


def test_what_waits_goes_out_signed_by_both_and_under_the_id_it_had(
    home: Home, receiver: Receiver
) -> None:
    """Its receiver may have taken the call whose answer we never saw."""
    number = home.add(receiver)
    home.comes("ann")
    receiver.script.append(Act(500))
    home.round()
    receiver_with_the_old = receiver.secret
    rotate(home, number)
    home.clock.forward(minutes=1)
    assert receiver.secret == receiver_with_the_old
    assert home.round() == ["webhooks delivered: 1"]
    assert receiver.unsigned == []
    assert len(receiver.calls) == 2
    assert len({one.id for one in receiver.calls}) == 1


def test_a_secret_that_leaked_ends_at_once_and_those_before_it_too(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    first = receiver.secret
    second = rotate(home, number)
    third = rotate(home, number, timedelta())
    assert not is_known_by(receiver, first, home)
    assert not is_known_by(receiver, second, home)
    assert is_known_by(receiver, third, home)
    assert home.count("old_secret") == 0


def test_a_new_secret_nobody_wrote_down_can_be_replaced_while_the_first_one_signs(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    first = receiver.secret
    rotate(home, number)
    home.clock.forward(hours=1)
    third = rotate(home, number)
    home.clock.forward(hours=22)
    assert is_known_by(receiver, first, home)
    home.clock.forward(hours=1)  # a day after the first change: its own end, not the second's
    assert not is_known_by(receiver, first, home)
    assert is_known_by(receiver, third, home)


def test_a_later_change_shortens_what_an_earlier_one_promised_and_never_lengthens_it(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    first = receiver.secret
    rotate(home, number, 7 * DAY)
    rotate(home, number, timedelta(hours=1))
    home.clock.forward(hours=1)
    assert not is_known_by(receiver, first, home)


def test_more_old_secrets_than_receivers_look_at_are_refused_and_nothing_is_changed(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    for _ in range(old_secrets.MOST):
        newest = rotate(home, number)
    with pytest.raises(RefusedError, match="4 older secrets"):
        rotate(home, number)
    assert is_known_by(receiver, newest, home)
    assert home.count("old_secret") == old_secrets.MOST


def test_an_ended_secret_and_those_of_a_removed_endpoint_are_kept_nowhere(
    home: Home, receiver: Receiver
) -> None:
    with Receiver() as other:
        numbers = home.add(receiver), home.add(other)
        for number in numbers:
            rotate(home, number)
        with home.app.session() as session:
            endpoints.remove(session, numbers[1], because="moved", by="ann", now=home.clock())
        assert home.count("old_secret") == 1
        home.clock.forward(days=1)
        home.round()
        assert home.count("old_secret") == 0
        with pytest.raises(NotFoundError, match="was removed"):
            rotate(home, numbers[1])


def test_a_rotation_is_on_record_without_any_secret(home: Home, receiver: Receiver) -> None:
    number = home.add(receiver)
    new = rotate(home, number)
    with home.app.session(readonly=True) as session:
        entry = audit.entries(session)[0]
    assert (entry.by, entry.action) == ("ann", "rotate webhook secret")
    assert entry.detail["old_until"] == (MONDAY + DAY).isoformat()
    assert new not in str(entry)
    assert receiver.secret not in str(entry)


def test_what_waits_and_what_failed_is_told_with_the_new_secret(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    home.comes("ann")
    home.comes("bob")
    receiver.usual = Act(500)
    home.round()
    with home.app.session() as session:
        session.execute(text("UPDATE webhook_message SET state = 'failed' WHERE id = 1"))
        session.flush()
        found, _ = endpoints.rotate(session, number, keep=DAY, by="ann", now=home.clock())
        (listed,) = endpoints.listed(session)
    assert (found.waiting, found.failed) == (1, 1)
    assert found == listed


def test_the_command_shows_the_new_secret_once_and_the_list_until_when_the_old_one_signs(
    home: Home,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["newsletter", "webhooks", *words])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    monkeypatch.setenv("NEWSLETTER_HOME", str(home.app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", home.clock().isoformat())
    home.add(receiver)
    assert "older secret" not in said("list")
    shown = said("rotate", "1", "--hours", "48")
    new = next(word for word in shown.split() if word.startswith("whsec_"))
    assert is_known_by(receiver, new, home)
    assert "2026-11-25 10:00 UTC" in shown
    listed = said("list")
    assert "an older secret signs until 2026-11-25 10:00 UTC" in listed
    (plain,) = json.loads(said("list", "--json"))
    assert plain["old_secret_until"].startswith("2026-11-25T10:00")
    assert new not in listed + str(plain)
    leaked = json.loads(said("rotate", "1", "--hours", "0", "--json"))
    assert is_known_by(receiver, leaked["secret"], home)
    assert "older secret" not in said("list")


OLD_SECRET = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
OLD_ROWS = f"""
INSERT INTO webhook_endpoint (id, url, secret, kinds, sends_addresses, added_at, added_by,
    removed_because)
VALUES (1, 'https://hooks.example.com/?key=abc',
    '{OLD_SECRET}', '["issue.sent"]', 0,
    '2026-11-01 00:00:00.000000', 'ann', '');
INSERT INTO webhook_message (id, endpoint_id, event, kind, body, state, attempts, created_at,
    due_at)
VALUES (1, 1, 'issue:7:2026-11-02', 'issue.sent', '{{"data":{{}}}}', 'planned', 1,
    '2026-11-02 00:00:00.000000', '2026-11-02 00:00:05.000000');
INSERT INTO provider_event (id, provider, event_id, twin, kind, word, at, received_at, request_id,
    code, detail, raw, is_waiting)
VALUES (1, 'sendgrid', 'a', 'a', 'blocked', 'bounce', '2026-11-02 00:00:00.000000',
    '2026-11-02 00:00:00.000000', '', '5.7.1', 'refused', '', 0)
"""
ID_BEFORE = "msg_1858c6c4f7cf5f1fc64d2941282b0258"  # HMAC-SHA256 of the event, by the secret


def test_an_upgrade_keeps_endpoints_their_secrets_and_the_ids_of_what_waits(tmp_path: Path) -> None:
    engine = store_at(tmp_path / "old.db", "0004", OLD_ROWS)
    upgrade(engine)
    assert schema_differences(engine) == []
    with session_on(engine) as session:
        claimed = messages.claim(session, 1, now=MONDAY)
    assert claimed is not None
    assert (claimed.secrets, claimed.wire_id) == ((OLD_SECRET,), ID_BEFORE)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0004")
        connection.commit()
    with engine.begin() as connection:
        kept = connection.exec_driver_sql("SELECT secret FROM webhook_endpoint").scalar_one()
    engine.dispose()
    assert kept == OLD_SECRET
