"""The double opt-in machine on a real database: who gets which mail, and what each act changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session, select

from newsletter.store.engine import session_on
from subscribers import consent, evidence, suppression
from subscribers.address import EmailAddress
from subscribers.consent import Added, Changed, Confirmation, SignUp, SignUpMail, Unsubscription
from subscribers.errors import AddressError, AudienceError
from subscribers.models import (
    ConsentAction,
    Subscriber,
    SubscriberStatus,
    SuppressionReason,
)

NOW = datetime(2026, 11, 23, 9, 0, 0, 500_000, tzinfo=UTC)
DAY = timedelta(days=1)
PAULA = EmailAddress.parse("Paula@Example.com")
WORDING = "Send me one issue a week."


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def sign_up(session: Session, now: datetime = NOW, address: EmailAddress = PAULA) -> SignUp:
    return consent.sign_up(
        session, address, source="form", wording=WORDING, network="192.0.2.77", now=now
    )


def confirm(session: Session, id_: int, issued_at: datetime, now: datetime) -> Confirmation:
    whole_second = issued_at.replace(microsecond=0)  # as a token carries it
    return consent.confirm(
        session, id_, issued_at=whole_second, source="page", network="2001:db8:1:2::3", now=now
    )


def leave(session: Session, id_: int, now: datetime) -> Unsubscription:
    return consent.unsubscribe(session, id_, source="mail:one-click", network="", now=now)


def add(session: Session, now: datetime = NOW, address: EmailAddress = PAULA) -> Added:
    return consent.add(
        session,
        address,
        " Paula  Peters ",
        consent="asked at our stand",
        given_on="2026-11-20",
        source="desk",
        now=now,
    )


def status(session: Session) -> str:
    found = consent.find(session, PAULA)
    assert found is not None
    return found.status


def actions(session: Session, id_: int) -> list[str]:
    return [entry.action for entry in consent.consent_history(session, id_)]


def test_a_sign_up_waits_for_its_confirmation(session: Session) -> None:
    answer = sign_up(session)
    assert (answer.mail, answer.confirmation_number) == (SignUpMail.CONFIRM, 1)
    assert status(session) == SubscriberStatus.PENDING
    [entry] = consent.consent_history(session, answer.subscriber_id)
    assert (entry.wording, entry.network, entry.at) == (WORDING, "192.0.2.0/24", NOW)


def test_a_confirmation_makes_active_and_is_proven(session: Session) -> None:
    id_ = sign_up(session).subscriber_id
    assert confirm(session, id_, NOW, NOW + DAY) is Confirmation.CONFIRMED
    found = consent.find(session, EmailAddress.parse("paula@EXAMPLE.com"))
    assert found is not None
    assert (found.status, found.confirmed_at) == (SubscriberStatus.ACTIVE, NOW + DAY)
    proof = consent.consent_history(session, id_)[-1]
    assert (proof.action, proof.wording, proof.network) == (
        ConsentAction.CONFIRMED,
        WORDING,
        "2001:db8:1::/48",
    )


def test_confirming_twice_changes_nothing(session: Session) -> None:
    id_ = sign_up(session).subscriber_id
    confirm(session, id_, NOW, NOW)
    assert confirm(session, id_, NOW, NOW + DAY) is Confirmation.ALREADY_ACTIVE
    assert actions(session, id_) == [ConsentAction.SIGNED_UP, ConsentAction.CONFIRMED]


def test_one_confirmation_in_a_day(session: Session) -> None:
    sign_up(session)
    assert sign_up(session, NOW + DAY - timedelta(seconds=1)).mail is SignUpMail.NOTHING
    again = sign_up(session, NOW + DAY)
    assert (again.mail, again.confirmation_number) == (SignUpMail.CONFIRM, 2)


def test_three_unanswered_confirmations_are_the_last(session: Session) -> None:
    mails = [sign_up(session, NOW + n * DAY).mail for n in range(6)]
    assert mails == [SignUpMail.CONFIRM] * 3 + [SignUpMail.NOTHING] * 3


def test_who_once_confirmed_can_sign_up_again_after_leaving(session: Session) -> None:
    for n in range(3):
        id_ = sign_up(session, NOW + n * DAY).subscriber_id
    confirm(session, id_, NOW + 2 * DAY, NOW + 2 * DAY)
    leave(session, id_, NOW + 3 * DAY)
    back = sign_up(session, NOW + 4 * DAY)
    assert (back.mail, back.confirmation_number) == (SignUpMail.CONFIRM, 4)
    assert status(session) == SubscriberStatus.UNSUBSCRIBED  # until they confirm
    assert confirm(session, id_, NOW + 4 * DAY, NOW + 5 * DAY) is Confirmation.CONFIRMED
    found = consent.find(session, PAULA)
    assert found is not None
    assert (found.status, found.unsubscribed_at) == (SubscriberStatus.ACTIVE, None)
    assert found.confirmed_at == NOW + 2 * DAY  # the first time ever


def test_an_old_confirm_link_brings_nobody_back(session: Session) -> None:
    id_ = sign_up(session).subscriber_id
    confirm(session, id_, NOW, NOW + timedelta(milliseconds=100))
    leave(session, id_, NOW + timedelta(milliseconds=200))  # within the token's very second
    later = NOW + timedelta(minutes=1)
    assert confirm(session, id_, NOW, later) is Confirmation.NOT_POSSIBLE
    sign_up(session, NOW + 2 * DAY)
    assert confirm(session, id_, NOW, NOW + 2 * DAY) is Confirmation.NOT_POSSIBLE
    assert status(session) == SubscriberStatus.UNSUBSCRIBED


def test_a_link_for_nobody_or_for_an_erased_person_does_nothing(session: Session) -> None:
    assert confirm(session, 4711, NOW, NOW) is Confirmation.NOT_POSSIBLE
    id_ = sign_up(session).subscriber_id
    found = consent.find(session, PAULA)
    assert found is not None
    found.status = SubscriberStatus.ERASED
    session.add(found)
    assert confirm(session, id_, NOW, NOW) is Confirmation.NOT_POSSIBLE
    assert leave(session, id_, NOW) is Unsubscription.ALREADY
    assert sign_up(session, NOW + 2 * DAY).mail is SignUpMail.NOTHING


def test_a_subscriber_who_signs_up_is_told_so_once_a_day(session: Session) -> None:
    id_ = sign_up(session).subscriber_id
    confirm(session, id_, NOW, NOW)
    soon = NOW + timedelta(minutes=5)
    assert sign_up(session, soon).mail is SignUpMail.ALREADY_SUBSCRIBED
    assert sign_up(session, soon + timedelta(hours=23)).mail is SignUpMail.NOTHING
    assert sign_up(session, soon + DAY).mail is SignUpMail.ALREADY_SUBSCRIBED
    assert status(session) == SubscriberStatus.ACTIVE


def test_leaving_is_idempotent_and_recorded_once(session: Session) -> None:
    id_ = sign_up(session).subscriber_id
    confirm(session, id_, NOW, NOW)
    assert leave(session, id_, NOW + DAY) is Unsubscription.UNSUBSCRIBED
    assert leave(session, id_, NOW + 2 * DAY) is Unsubscription.ALREADY
    assert leave(session, 4711, NOW) is Unsubscription.UNKNOWN
    assert actions(session, id_)[-2:] == [ConsentAction.CONFIRMED, ConsentAction.UNSUBSCRIBED]
    found = consent.find(session, PAULA)
    assert found is not None
    assert found.unsubscribed_at == NOW + DAY


def choose(session: Session, id_: int, act: str) -> Changed:
    change = consent.pause if act == "pause" else consent.resume
    return change(session, id_, source="page", network="192.0.2.77", now=NOW)


def test_a_pause_is_recorded_once_and_ended_by_a_resume(session: Session) -> None:
    add(session)
    assert choose(session, 1, "resume") is Changed.UNCHANGED
    assert [choose(session, 1, "pause") for _ in "ab"] == [Changed.CHANGED, Changed.UNCHANGED]
    assert status(session) == "paused"
    assert choose(session, 1, "resume") is Changed.CHANGED
    assert status(session) == "active"
    assert actions(session, 1) == ["added", "paused", "resumed"]
    assert consent.consent_history(session, 1)[-1].network == "192.0.2.0/24"


def test_a_paused_reader_leaves_like_any_other(session: Session) -> None:
    add(session)
    choose(session, 1, "pause")
    assert leave(session, 1, NOW) is Unsubscription.UNSUBSCRIBED
    assert actions(session, 1) == ["added", "paused", "unsubscribed"]


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_only_who_is_on_the_list_has_a_choice(session: Session, act: str) -> None:
    assert choose(session, 99, act) is Changed.NOT_ON_THE_LIST
    id_ = sign_up(session).subscriber_id
    assert choose(session, id_, act) is Changed.NOT_ON_THE_LIST
    assert consent.set_name(session, id_, "Paula") is Changed.NOT_ON_THE_LIST
    confirm(session, id_, NOW, NOW)
    leave(session, id_, NOW)
    assert choose(session, id_, act) is Changed.NOT_ON_THE_LIST
    assert actions(session, id_) == ["signed_up", "confirmed", "unsubscribed"]


def test_a_name_is_cleaned_and_leaves_no_record(session: Session) -> None:
    add(session)
    assert consent.set_name(session, 1, " Zoë \t O’Brien ") is Changed.CHANGED
    assert consent.set_name(session, 1, "Zoë O’Brien") is Changed.UNCHANGED
    assert consent.set_name(session, 1, "") is Changed.CHANGED
    with pytest.raises(AddressError):
        consent.set_name(session, 1, "=?utf-8?q?x?=")
    assert actions(session, 1) == ["added"]


@pytest.mark.parametrize("reason", [SuppressionReason.HARD_BOUNCE, SuppressionReason.MANUAL])
def test_a_suppressed_address_gets_no_confirmation(
    session: Session, reason: SuppressionReason
) -> None:
    suppression.suppress(session, PAULA.key, reason, detail="", now=NOW)
    assert sign_up(session).mail is SignUpMail.NOTHING


def test_only_a_fresh_double_opt_in_lifts_a_complaint(session: Session) -> None:
    id_ = sign_up(session).subscriber_id
    confirm(session, id_, NOW, NOW)
    for n in range(1, 4):  # notices sent before must not use up the confirmations
        assert sign_up(session, NOW + n * DAY).mail is SignUpMail.ALREADY_SUBSCRIBED
    complained = NOW + 4 * DAY
    suppression.suppress(session, PAULA.key, SuppressionReason.COMPLAINT, detail="", now=complained)
    assert confirm(session, id_, NOW, complained + DAY) is Confirmation.NOT_POSSIBLE
    assert sign_up(session, complained + DAY).mail is SignUpMail.CONFIRM
    assert suppression.is_suppressed(session, PAULA.key) is SuppressionReason.COMPLAINT
    fresh = confirm(session, id_, complained + DAY, complained + DAY)
    assert fresh is Confirmation.CONFIRMED
    assert suppression.is_suppressed(session, PAULA.key) is None


def test_an_operator_adds_with_stated_consent(session: Session) -> None:
    assert add(session) is Added.ADDED
    found = consent.find(session, PAULA)
    assert found is not None
    assert (found.name, found.status, found.confirmed_at) == ("Paula Peters", "active", NOW)
    assert found.id is not None
    [entry] = consent.consent_history(session, found.id)
    assert (entry.action, entry.wording, entry.given_on) == (
        ConsentAction.ADDED,
        "asked at our stand",
        "2026-11-20",
    )
    assert add(session) is Added.ALREADY


def test_an_operator_brings_back_nobody(session: Session) -> None:
    add(session)
    found = consent.find(session, PAULA)
    assert found is not None
    assert found.id is not None
    leave(session, found.id, NOW)
    assert add(session, NOW + DAY) is Added.KEPT_UNSUBSCRIBED
    suppression.suppress(session, PAULA.key, SuppressionReason.MANUAL, detail="", now=NOW)
    assert add(session, NOW + DAY) is Added.KEPT_SUPPRESSED
    assert status(session) == SubscriberStatus.UNSUBSCRIBED


@pytest.mark.parametrize(
    ("words", "given_on"),
    [(" ", "2026-11-20"), ("yes", ""), ("yes", "last spring"), ("yes", "2027-01-01")],
)
def test_adding_without_provable_consent_is_refused(
    session: Session, words: str, given_on: str
) -> None:
    with pytest.raises(AudienceError) as caught:
        consent.add(session, PAULA, "", consent=words, given_on=given_on, source="desk", now=NOW)
    assert caught.value.hint
    assert consent.find(session, PAULA) is None


def test_adding_with_a_name_that_cannot_be_used_changes_nothing(session: Session) -> None:
    with pytest.raises(AddressError):
        consent.add(
            session, PAULA, "=?x?=", consent="yes", given_on="2026-11-20", source="", now=NOW
        )
    assert consent.find(session, PAULA) is None


def test_sign_ups_of_one_address_at_once_make_one_subscriber_and_one_mail(
    database: Engine,
) -> None:
    answers: list[SignUp] = []
    start = threading.Barrier(6)

    def post_the_form() -> None:
        start.wait()
        with session_on(database) as session:
            answers.append(sign_up(session))

    threads = [threading.Thread(target=post_the_form) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.mail for answer in answers) == ["confirm"] + ["nothing"] * 5
    with session_on(database) as session:
        assert len(session.exec(select(Subscriber)).all()) == 1


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        (" 192.0.2.0/24 ", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("unknown", ""),
        ("192.0.2.77:8000", ""),
    ],
)
def test_a_network_is_all_that_is_kept_of_an_ip(ip: str, network: str) -> None:
    assert consent.truncate_network(ip) == network


@given(st.ip_addresses().map(str) | st.text(max_size=40))
def test_truncating_twice_is_truncating_once(ip: str) -> None:
    network = consent.truncate_network(ip)
    assert consent.truncate_network(network) == network


def test_a_record_says_which_version_of_the_words_it_is(session: Session) -> None:
    id_ = sign_up(session).subscriber_id
    confirm(session, id_, NOW, NOW)
    first, second = consent.consent_history(session, id_)
    assert first.version == second.version == evidence.version_of(WORDING)
    assert len(first.version) == 12
    assert evidence.version_of(WORDING + " ") != first.version
    leave(session, id_, NOW)
    assert consent.consent_history(session, id_)[-1].version == ""
