"""Each message has an address for its bounces; a refusal at the door follows the same policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postroom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inbound_home import copied, envelope, issue, reader, sent_home
from smtp_client import CHUNKED, EXTENSIONS, WAYS, for_reader, mailing, smtp
from smtp_server import SmtpServer
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from newsletter import mailings
from newsletter.app import App
from newsletter.delivery import bounces
from newsletter.delivery.ledger import Answer
from newsletter.delivery.system_mail import Due
from newsletter.errors import SettingsError, TokenError
from newsletter.providers.base import Envelope, Outcome, Unlogged
from newsletter.settings import load_settings
from newsletter.store.engine import session_on
from newsletter.store.states import DELIVERY_MOVES, DeliveryState
from newsletter.tokens import DeliveryToken, Keyring
from subscribers.policy import POLICY, Suppress, Verdict

KEYS = Keyring([b"a secret key of enough octets"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sent_home(tmp_path_factory.mktemp("sent") / "home")


@pytest.fixture
def app(home: Path, tmp_path: Path) -> Iterator[App]:
    app = copied(home, tmp_path / "home")
    yield app
    app.engine.dispose()


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1))
def test_a_bounce_token_survives_any_case_and_fits_an_address(issue: int, subscriber: int) -> None:
    token = KEYS.bounce(issue, subscriber)
    for spelled in (token, token.upper(), token.title()):
        assert KEYS.read_bounce(spelled) == DeliveryToken(issue, subscriber)
    assert len(f"bounces+{token}") <= 64
    assert token.isalnum()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1],
        lambda token: token + "a",
        lambda token: ("b" if token[0] == "a" else "a") + token[1:],
        lambda token: token[:-1] + ("b" if token[-1] == "a" else "a"),
        lambda token: "é" * 48,
        lambda token: "",
        lambda token: Keyring([b"the key of another publication"]).bounce(7, 12),
        lambda token: KEYS.unsubscribe(7, 12),
    ],
)
def test_a_bounce_token_that_is_not_ours_to_the_letter_is_refused(spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(TokenError):
        KEYS.read_bounce(spoil(KEYS.bounce(7, 12)))


def test_a_bounce_token_is_good_for_nothing_else() -> None:
    token = KEYS.bounce(7, 12)
    for reads in (KEYS.read_delivery, KEYS.read_unsubscribe, KEYS.read_preferences):
        with pytest.raises(TokenError):
            reads(token)


def test_every_message_has_a_return_path_of_its_own(app: App) -> None:
    own = {envelope(app, n).bounce_to for n in range(1, 5)}
    assert len(own) == 4
    for address in own:
        local, _, domain = address.partition("@")
        assert domain == "verdicts.example.com"
        read = app.keyring.read_bounce(local.removeprefix("bounces+"))
        assert read.issue_id == issue(app).id


def test_a_system_mail_to_a_reader_has_one_too_and_to_an_editor_has_none(app: App) -> None:
    due = Due(1, "confirm", "confirm:1", 3, "reader3@example.com", {}, app.clock())
    local = mailings.system_envelope(app, due).bounce_to.partition("@")[0]
    assert app.keyring.read_bounce(local.removeprefix("bounces+")) == DeliveryToken(0, 3)
    editor = Due(2, "thin_week", "thin", None, "editor@example.com", {}, app.clock())
    assert mailings.system_envelope(app, editor).bounce_to == ""


def test_without_the_setting_the_return_path_is_the_senders(home: Path, tmp_path: Path) -> None:
    assert envelope(copied(home, tmp_path / "home", bounces_to=""), 1).bounce_to == ""


@pytest.mark.parametrize("setting", ["no address", "a-name-too-long-for-a-token@example.com"])
def test_the_setting_is_an_address_with_room_for_a_token(tmp_path: Path, setting: str) -> None:
    with pytest.raises(SettingsError, match="bounces_to"):
        load_settings(home=tmp_path, bounces_to=setting)


@WAYS
def test_smtp_says_each_messages_own_return_path(extensions: tuple[str, ...]) -> None:
    own = [
        Envelope(n, f"reader{n}@example.com", "", f"{n}@x", {}, f"b+{n}@x.example") for n in (1, 2)
    ]
    plain = Envelope(3, "reader3@example.com", "", "3@x", {})
    with SmtpServer(extensions=extensions) as server, smtp(server.url) as provider:
        outcomes = [r.outcome for r in provider.submit(mailing(), [*own, plain], Unlogged())]
        said = sorted(one.sender.partition("<")[2].partition(">")[0] for one in server.accepted)
    assert outcomes == [Outcome.SUBMITTED] * 3
    assert said == ["b+1@x.example", "b+2@x.example", "news@example.com"]


@pytest.mark.parametrize("bounce_to", ["a@b> SIZE=1\r\nRSET", "<a@b.example>", "ä@b.example"])
def test_a_return_path_that_cannot_stand_in_a_command_fails_its_message_alone(
    bounce_to: str,
) -> None:
    bad = Envelope(1, "reader1@example.com", "", "1@x", {}, bounce_to)
    good = Envelope(2, "reader2@example.com", "", "2@x", {}, "b+2@x.example")
    with SmtpServer() as server, smtp(server.url) as provider:
        receipts = {r.key: r.outcome for r in provider.submit(mailing(), [bad, good], Unlogged())}
    assert receipts == {1: Outcome.FAILED, 2: Outcome.SUBMITTED}


def _suppressed(engine: Engine) -> list[str]:
    with session_on(engine, readonly=True) as session:
        return list(session.execute(text("SELECT reason FROM suppression")).scalars())


@pytest.mark.parametrize("extensions", [EXTENSIONS, CHUNKED], ids=["pipelined", "chunked"])
def test_a_refusal_at_the_door_follows_the_same_table(
    database: Engine, extensions: tuple[str, ...]
) -> None:
    issue_id = postroom.frozen_issue(database, readers=3)
    script = for_reader(2, "RCPT", "550 5.1.1 Nobody")
    with (
        SmtpServer(script, extensions=extensions) as server,
        smtp(server.url) as provider,
    ):
        postroom.deliver(database, issue_id, provider)
    assert postroom.states(database, issue_id)[2] == "bounced"
    assert _suppressed(database) == ["hard_bounce"]


@pytest.mark.parametrize(
    ("reply", "reasons"),
    [
        ("550 5.1.1 No such user", ["hard_bounce"]),
        ("552 5.2.2 Mailbox full", []),
        ("550 5.7.1 Relay access denied, user unknown", []),
        ("550 keine Lust", []),
    ],
)
def test_the_door_suppresses_only_for_a_mailbox_that_is_not_there(
    database: Engine, reply: str, reasons: list[str]
) -> None:
    issue_id = postroom.frozen_issue(database, readers=2)
    with session_on(database) as session, capture_logs() as logs:
        session.execute(text("UPDATE delivery SET state='bounced' WHERE subscriber_id=1"))
        answer = Answer(1, DeliveryState.BOUNCED, reply)
        assert bounces.hear(session, issue_id, [answer], postroom.NOW) == len(reasons)
    assert _suppressed(database) == reasons
    assert [log["code"] for log in logs] == (["5.7.1"] if "5.7.1" in reply else [])


def test_three_issues_refused_at_the_door_suppress(database: Engine) -> None:
    first = postroom.frozen_issue(database, readers=1)
    others = [postroom.add_issue(database, week=f"2026-W{n}") for n in (50, 51)]
    for issue_id in others:
        postroom.freeze(database, issue_id)
    for issue_id in (first, *others):
        assert _suppressed(database) == []
        with session_on(database) as session:
            answer = Answer(1, DeliveryState.BOUNCED, "552 5.2.2 Mailbox full")
            as_recorded = "UPDATE delivery SET state='bounced', reason=:said WHERE issue_id=:id"
            session.execute(text(as_recorded), {"said": answer.reason, "id": issue_id})
            bounces.hear(session, issue_id, [answer, answer], postroom.NOW)
    assert _suppressed(database) == ["soft_bounces"]


@pytest.mark.parametrize(
    ("why", "counted"),
    [("452 4.2.2 Mailbox full", 1), ("cannot be reached: refused", 0), ("451 later", 0)],
)
def test_a_deferral_that_expired_counts_where_it_was_the_mailboxs(
    database: Engine, why: str, counted: int
) -> None:
    issue_id = postroom.frozen_issue(database, readers=1)
    with session_on(database) as session:
        session.execute(text("UPDATE delivery SET state='failed'"))
        answer = Answer(1, DeliveryState.FAILED, f"given up after 16 attempts: {why}")
        bounces.hear(session, issue_id, [answer], postroom.NOW)
        found = session.execute(text("SELECT soft_bounces FROM engagement")).scalars().all()
    assert sum(found) == counted


def test_the_policy_has_a_line_for_every_verdict_and_names_states_there_are() -> None:
    assert set(POLICY) == set(Verdict)
    for consequence in POLICY.values():
        if consequence.delivery:
            assert DeliveryState(consequence.delivery) in DELIVERY_MOVES[DeliveryState.SUBMITTED]


def test_what_is_our_own_fault_never_suppresses() -> None:
    faults = [one for one in POLICY.values() if one.alert]
    assert faults
    assert {one.suppress for one in faults} == {Suppress.NEVER}


def test_a_reader_who_is_gone_costs_nothing(app: App) -> None:
    with app.session() as session:
        told = bounces.Told(99, issue(app).id, Verdict.HARD, "5.1.1")
        assert bounces.follow(session, told, app.clock()) == bounces.NOTHING
    assert reader(app, 1) == ("active", None)
