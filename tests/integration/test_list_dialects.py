"""The export files of other services: recognised, understood, and written in their shapes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session, select

from newsletter.store.engine import session_on
from subscribers import suppression
from subscribers.address import clean_name
from subscribers.dialects import DIALECTS, PLAIN, Standing
from subscribers.errors import ImportRefusedError
from subscribers.exports import export_lines
from subscribers.models import (
    ConsentRecord,
    Subscriber,
    SubscriberTag,
    SubscriberTopic,
    Suppression,
    SuppressionReason,
)
from subscribers.transfer import ImportReport, Stated, judged, take_in

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SAID = Stated("import:list.csv", "signed up on our old site", "2026-11-01")


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def load(
    session: Session, text: str, stated: Stated = SAID, chosen: dict[str, str] | None = None
) -> ImportReport:
    with judged(io.BytesIO(text.encode()), stated, now=NOW, chosen=chosen) as read:
        report = take_in(session, read, now=NOW)
    assert report.accounted
    return report


MAILCHIMP = (
    "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,{}LEID,EUID,TAGS"
)
FILES = {
    "mailchimp": (
        MAILCHIMP.format("") + "\n"
        "ann@example.com,Ann,Smith,2,2018-02-05 19:28:23,2018-02-06 19:28:23,1,a,"
        '"""Editors"",""vip"""\n'
    ),
    "substack": (
        "email,active_subscription,expiry,email_disabled,prefer_digests,created_at\n"
        "ann@example.com,true,2021-07-06T16:20:44.000Z,false,false,2018-02-06T15:06:27.713Z\n"
        "off@example.com,false,,true,false,2018-08-27T15:02:18.223Z\n"
    ),
    "ghost": (
        "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,"
        "deleted_at,labels,tiers\n"
        'i1,ann@example.com,Ann Smith,,true,,,2018-02-06T15:06:27.000Z,,"Editors,vip",\n'
        "i2,off@example.com,Off,,false,,,2018-02-06T15:06:27.000Z,,,\n"
    ),
    "buttondown": (
        "id,creation_date,email_address,notes,metadata,tags,type\n"
        'u1,2018-02-06T15:06:27Z,ann@example.com,,{},"Editors,vip",regular\n'
        "u2,2018-02-06T15:06:27Z,off@example.com,,{},,unsubscribed\n"
        "u3,2018-02-06T15:06:27Z,late@example.com,,{},,unactivated\n"
    ),
    "beehiiv": (
        "email,First Name,Last Name,status,tier,created_at,stripe_customer_id,unsubscribed_at\n"
        "ann@example.com, Ann , Smith,active,free,2018-02-06 10:23:10 UTC,,\n"
        "off@example.com,,,inactive,free,2023-03-24 10:36:48 UTC,,\n"
        "late@example.com,,,pending,free,2023-03-24 10:36:48 UTC,,\n"
    ),
    "kit": (
        "id,first_name,email_address,state,created_at,tags\n"
        '1,Ann Smith,ann@example.com,active,2018-02-06T11:43:55Z,"Editors, vip"\n'
        "2,,off@example.com,cancelled,2023-01-27T11:43:55Z,\n"
        "3,,late@example.com,inactive,2023-01-27T11:43:55Z,\n"
        "4,,gone@example.com,bounced,2023-01-27T11:43:55Z,\n"
        "5,,angry@example.com,complained,2023-01-27T11:43:55Z,\n"
    ),
    "listmonk": (
        "uuid,email,name,attributes,status,created_at,updated_at\n"
        'x,ann@example.com,Ann Smith,"{""city"": ""Bern""}",enabled,'
        "2018-02-06 10:14:59.123 +0000 UTC,2019-07-21 10:14:59.123 +0000 UTC\n"
        "x,off@example.com,,{},disabled,2019-07-21 10:14:59.123 +0000 UTC,\n"
        "x,stop@example.com,,{},blocklisted,2019-07-21 10:14:59.123 +0000 UTC,\n"
    ),
}
OUTCOMES = {  # unsubscribed, not confirmed, newly suppressed
    "mailchimp": (0, 0, {}),
    "substack": (1, 0, {}),
    "ghost": (1, 0, {}),
    "buttondown": (1, 1, {}),
    "beehiiv": (1, 1, {}),
    "kit": (1, 1, {"hard_bounce": 1, "complaint": 1}),
    "listmonk": (1, 0, {"manual": 1}),
}
NAMELESS, TAGLESS = {"substack", "buttondown"}, {"substack", "beehiiv", "listmonk"}


@pytest.mark.parametrize("service", FILES)
def test_an_export_of_a_service_is_known_by_its_header_and_understood(
    session: Session, service: str
) -> None:
    report = load(session, FILES[service])
    assert report.dialect == service
    assert (report.added, report.rejected) == (1, 0)
    outcome = (report.kept_unsubscribed, report.kept_unconfirmed, report.newly_suppressed)
    assert outcome == OUTCOMES[service]
    (ann,) = session.exec(select(Subscriber)).all()
    expected = "" if service in NAMELESS else "Ann Smith"
    assert (ann.address, ann.name, ann.status) == ("ann@example.com", expected, "active")
    assert tags(session) == (set() if service in TAGLESS else {"Editors", "vip"})
    (proof,) = session.exec(select(ConsentRecord)).all()
    assert (proof.wording, proof.given_on) == ("signed up on our old site", "2018-02-06")
    assert {"email"} <= {field for _, field in report.columns}


def tags(session: Session) -> set[str]:
    return {row.tag for row in session.exec(select(SubscriberTag)).all()}


def test_mailchimps_cleaned_and_unsubscribed_members_stay_out_with_their_reason(
    session: Session,
) -> None:
    row = "{},Ann,Smith,2,2018-02-05 19:28:23,2018-02-06 19:28:23,{}1,a,\n"
    left = MAILCHIMP.format("UNSUB_TIME,UNSUB_REASON,") + "\n"
    left += row.format("left@example.com", "2020-07-23 12:19:27,N/A,")
    assert load(session, left).kept_unsubscribed == 1
    gone = MAILCHIMP.format("CLEAN_TIME,") + "\n" + row.format("gone@example.com", "2020-01-01,")
    report = load(session, gone)
    assert (report.kept_suppressed, report.newly_suppressed) == (1, {"hard_bounce": 1})
    assert session.exec(select(Subscriber)).all() == []
    (stands,) = session.exec(select(Suppression)).all()
    assert (stands.address_key, stands.detail) == ("gone@example.com", "import:list.csv")
    assert load(session, "email\ngone@example.com\n").kept_suppressed == 1


def test_of_two_rows_with_one_address_the_one_that_says_no_counts(session: Session) -> None:
    text = "email,status\nann@example.com,active\nANN@example.com,unsubscribed\n"
    report = load(session, text + "bob@example.com,complained\nbob@example.com,active\n")
    assert (report.added, report.already, report.kept_unsubscribed) == (0, 2, 1)
    assert report.newly_suppressed == {"complaint": 1}


def test_a_complaint_in_a_list_takes_the_place_of_another_reason_and_a_lifted_one_stays_lifted(
    session: Session,
) -> None:
    for address in ("a@example.com", "b@example.com"):
        suppression.suppress(session, address, SuppressionReason.HARD_BOUNCE, detail="", now=NOW)
    suppression.lift(session, "b@example.com", because="mended", now=NOW)
    report = load(session, "email,status\na@example.com,complained\nb@example.com,bounced\n")
    assert (report.kept_suppressed, report.newly_suppressed) == (2, {"complaint": 1})
    assert suppression.is_suppressed(session, "a@example.com") is SuppressionReason.COMPLAINT
    assert suppression.is_suppressed(session, "b@example.com") is None


def test_a_status_nobody_knows_is_not_taken_for_a_yes(session: Session) -> None:
    report = load(session, "email,status\nann@example.com,VIP\n")
    assert (report.added, report.reasons) == (0, {"the status 'VIP' is not a known one": 1})
    assert load(session, "email,status\nann@example.com,VIP\n", chosen={"status": "ignore"}).added


def test_columns_carry_consent_where_nobody_states_it(session: Session) -> None:
    text = (
        "email,consent,consent_date,topics\n"
        'ann@example.com,ticked the box,2026-05-31T10:00:00Z,"Chat, Code"\n'
        "bob@example.com,,2026-05-31,\n"
        "eve@example.com,ticked the box,31.5.2026,\n"
        "dan@example.com,ticked the box,2030-05-31,\n"
    )
    report = load(session, text, Stated("import:x"))
    assert (report.added, report.rejected, len(report.reasons)) == (1, 3, 3)
    (proof,) = session.exec(select(ConsentRecord)).all()
    assert (proof.wording, proof.given_on) == ("ticked the box", "2026-05-31")
    assert proof.version
    assert {row.topic for row in session.exec(select(SubscriberTopic)).all()} == {"Chat", "Code"}


@pytest.mark.parametrize(
    ("header", "stated"),
    [
        ("email", Stated("x")),
        ("email", Stated("x", "ticked")),
        ("email", Stated("x", "", "2026-05-31")),
        ("email,consent", Stated("x")),
        ("email,consent_date", Stated("x")),
        ("email,consent", Stated("x", "", "soon")),
    ],
)
def test_without_consent_and_its_date_a_list_is_refused(
    session: Session, header: str, stated: Stated
) -> None:
    with pytest.raises(ImportRefusedError):
        load(session, f"{header}\nann@example.com,ticked\n", stated)


def test_who_was_erased_stays_erased_whatever_a_list_says(session: Session) -> None:
    mark = "erased:" + "ann@example.com"[::-1]
    suppression.suppress(session, mark, SuppressionReason.ERASED, detail="", now=NOW)
    with judged(io.BytesIO(b"email\nAnn@example.com\nbob@example.com\n"), SAID, now=NOW) as read:
        report = take_in(session, read, now=NOW, fingerprint_of=lambda key: key[::-1])
    assert (report.added, report.kept_suppressed) == (1, 1)


_NAMES = st.text(max_size=30).map(lambda text: "".join(c for c in text if c.isprintable()))
_TAGS = st.text("abcXYZ äß'=+-", min_size=1, max_size=10).map(lambda text: " ".join(text.split()))
_PEOPLE = st.lists(
    st.tuples(
        _NAMES.filter(lambda name: "=?" not in name).map(clean_name),
        st.frozensets(_TAGS.filter(bool), max_size=3),
        st.sampled_from([one for one in Standing if one is not Standing.PENDING]),
    ),
    min_size=1,
    max_size=4,
)
_ROUND_TRIPS = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25
)


@pytest.mark.slow
@pytest.mark.parametrize("shape", DIALECTS)
@given(people=_PEOPLE)
@_ROUND_TRIPS
def test_who_is_exported_in_a_shape_comes_back_the_same(
    database: Engine, shape: str, people: list[tuple[str, frozenset[str], Standing]]
) -> None:
    dialect = DIALECTS[shape]
    with session_on(database) as session:
        for number, (name, own_tags, standing) in enumerate(people):
            put(session, f"reader{number}@example.com", name, own_tags, standing)
        before = state(session)
        exported = "".join(export_lines(session, dialect))
        session.rollback()
        report = load(session, exported)
        after = state(session)
        session.rollback()
    assert (report.dialect, report.rejected) == (shape, 0)
    for address, (name, own_tags) in before.items():
        assert after[address][0] == ("" if shape in NAMELESS else name)
        assert after[address][1] == (frozenset() if shape in TAGLESS else own_tags)
    assert after.keys() == before.keys()


def put(
    session: Session, address: str, name: str, own_tags: frozenset[str], standing: Standing
) -> None:
    status = {Standing.LEFT: "unsubscribed"}.get(standing, "active")
    one = Subscriber(
        address=address, address_key=address, name=name, status=status, created_at=NOW,
        confirmed_at=NOW,
    )  # fmt: skip
    session.add(one)
    session.flush()
    assert one.id is not None
    session.add_all(SubscriberTag(subscriber_id=one.id, tag=tag) for tag in own_tags)
    reasons = {
        Standing.COMPLAINED: SuppressionReason.COMPLAINT,
        Standing.BOUNCED: SuppressionReason.HARD_BOUNCE,
        Standing.WORN_OUT: SuppressionReason.SOFT_BOUNCES,
        Standing.BLOCKED: SuppressionReason.MANUAL,
    }
    if standing in reasons:
        suppression.suppress(session, address, reasons[standing], detail="", now=NOW)
    session.flush()


def state(session: Session) -> dict[str, tuple[str, frozenset[str]]]:
    """Who may be written to, with name and tags."""
    session.flush()
    found = {}
    for one in session.exec(select(Subscriber).where(Subscriber.status == "active")).all():
        if suppression.is_suppressed(session, one.address_key) is None:
            own = session.exec(select(SubscriberTag).where(SubscriberTag.subscriber_id == one.id))
            found[one.address] = (one.name, frozenset(row.tag for row in own))
    return found


def test_our_own_shape_keeps_suppressions_with_their_reason(session: Session) -> None:
    reasons = (Standing.COMPLAINED, Standing.BOUNCED, Standing.WORN_OUT, Standing.BLOCKED)
    for number, standing in enumerate(reasons):
        put(session, f"r{number}@example.com", "", frozenset(), standing)
    exported = "".join(export_lines(session, PLAIN))
    before = [row.reason for row in suppression.standing(session)]
    session.rollback()
    load(session, exported)
    assert sorted(row.reason for row in suppression.standing(session)) == sorted(before)
