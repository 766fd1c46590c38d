"""What readers on the list choose for themselves: name, topics, how often, a pause, tracking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import available_timezones

from sqlalchemy import delete
from sqlmodel import Session, col, select

from subscribers.address import clean_name
from subscribers.errors import ChoiceError
from subscribers.evidence import record
from subscribers.models import (
    ConsentAction,
    ConsentRecord,
    Subscriber,
    SubscriberStatus,
    SubscriberTopic,
)
from subscribers.outcomes import Changed, Frequency
from subscribers.rows import ON_THE_LIST, id_of, locked

LONGEST_PAUSE = timedelta(days=2 * 366)
OURS = ("operator", "sunset")  # how sources of pauses begin that readers did not ask for
MAX_TOPICS = 100
MAX_TOPIC_CHARS = 60


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything a reader chose. No topics: all of them. language, timezone "": the publication's.

    paused_until: when a pause ends by itself; None beside `is_paused`: when they say so.
    """

    name: str = ""
    topics: frozenset[str] = frozenset()
    frequency: Frequency = Frequency.WEEKLY
    language: str = ""
    timezone: str = ""
    is_tracked: bool = True
    is_paused: bool = False
    paused_until: datetime | None = None


def read(session: Session, subscriber_id: int) -> Choices | None:
    """What this reader chose; None for who is not on the list."""
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return None
    return Choices(
        name=subscriber.name,
        topics=_topics(session, subscriber_id),
        frequency=Frequency(subscriber.frequency),
        language=subscriber.language,
        timezone=subscriber.timezone,
        is_tracked=subscriber.is_tracked,
        is_paused=subscriber.status == SubscriberStatus.PAUSED,
        paused_until=subscriber.paused_until,
    )


def save(
    session: Session,
    subscriber_id: int,
    chosen: Choices,
    *,
    source: str,
    network: str,
    now: datetime,
) -> Changed:
    """All choices at once: all of them or, with an error, none. A pause and its end are recorded.

    Raises AddressError for a name that cannot be used, ChoiceError for a time zone or a topic that
    cannot be, and for a pause that ends in the past or lasts over two years.
    """
    wanted = _checked(chosen, now=now)
    subscriber = locked(session, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return Changed.NOT_ON_THE_LIST
    before = read(session, subscriber_id)
    if before == wanted:
        return Changed.UNCHANGED
    subscriber.name, subscriber.frequency = wanted.name, wanted.frequency
    subscriber.language, subscriber.timezone = wanted.language, wanted.timezone
    subscriber.is_tracked = wanted.is_tracked
    _set_topics(session, subscriber_id, wanted.topics)
    if wanted.is_paused:
        _pause(session, subscriber, wanted.paused_until, source=source, network=network, now=now)
    else:
        _resume(session, subscriber, source=source, network=network, now=now)
    return Changed.CHANGED


def pause(
    session: Session,
    subscriber_id: int,
    *,
    until: datetime | None = None,
    source: str,
    network: str,
    now: datetime,
) -> Changed:
    """No issue until then, or until they resume; they stay on the list. Idempotent.

    Whom an operator or the sunset rule has paused says so in their own right, too: from then on
    nobody but they end it.
    """
    _check_pause(until, now=now)
    subscriber = locked(session, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return Changed.NOT_ON_THE_LIST
    if not source.startswith(OURS) and _was_paused_by_us(session, subscriber):
        return _record_pause(session, subscriber, until, source=source, network=network, now=now)
    return _pause(session, subscriber, until, source=source, network=network, now=now)


def resume(
    session: Session, subscriber_id: int, *, source: str, network: str, now: datetime
) -> Changed:
    """Issues again, from the next one on. Idempotent; who left does not come back this way."""
    subscriber = locked(session, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return Changed.NOT_ON_THE_LIST
    return _resume(session, subscriber, source=source, network=network, now=now)


def resume_due(session: Session, now: datetime) -> int:
    """Ends every pause whose time has come; how many. They are few: by status, then by date."""
    due = session.exec(
        select(Subscriber)
        .where(Subscriber.status == SubscriberStatus.PAUSED)
        .where(col(Subscriber.paused_until) <= now)
        .order_by(col(Subscriber.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for subscriber in due:
        _resume(session, subscriber, source="the pause ended", network="", now=now)
    return len(due)


def set_name(session: Session, subscriber_id: int, name: str) -> Changed:
    """What this person wants to be called; "" takes it away. No record: a name is no consent.

    Raises AddressError for a name that cannot be used.
    """
    cleaned = clean_name(name)
    subscriber = locked(session, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return Changed.NOT_ON_THE_LIST
    if subscriber.name == cleaned:
        return Changed.UNCHANGED
    subscriber.name = cleaned
    return Changed.CHANGED


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The time zones there are, by place: `Europe/Berlin`, and UTC."""
    named = (zone for zone in available_timezones() if "/" in zone)
    return (
        "UTC",
        *sorted(zone for zone in named if not zone.startswith(("Etc/", "posix", "right"))),
    )


def _checked(chosen: Choices, *, now: datetime) -> Choices:
    if chosen.is_paused:
        _check_pause(chosen.paused_until, now=now)
    if chosen.timezone and chosen.timezone not in zones():
        raise ChoiceError("this is no time zone we know", hint="choose one of the list")
    if len(chosen.topics) > MAX_TOPICS or any(
        not 0 < len(topic) <= MAX_TOPIC_CHARS for topic in chosen.topics
    ):
        raise ChoiceError("these are no topics of ours", hint="choose from the list")
    return Choices(
        name=clean_name(chosen.name),
        topics=chosen.topics,
        frequency=chosen.frequency,
        language=chosen.language,
        timezone=chosen.timezone,
        is_tracked=chosen.is_tracked,
        is_paused=chosen.is_paused,
        paused_until=chosen.paused_until if chosen.is_paused else None,
    )


def _check_pause(until: datetime | None, *, now: datetime) -> None:
    if until is not None and not now < until <= now + LONGEST_PAUSE:
        raise ChoiceError(
            "a pause ends on a day to come, within two years",
            hint="choose a later day, or no day at all: then it lasts until you end it",
        )


def _pause(
    session: Session,
    subscriber: Subscriber,
    until: datetime | None,
    *,
    source: str,
    network: str,
    now: datetime,
) -> Changed:
    if subscriber.status == SubscriberStatus.PAUSED and subscriber.paused_until == until:
        return Changed.UNCHANGED
    return _record_pause(session, subscriber, until, source=source, network=network, now=now)


def _was_paused_by_us(session: Session, subscriber: Subscriber) -> bool:
    """Whether the pause that stands is an operator's or the sunset rule's."""
    if subscriber.status != SubscriberStatus.PAUSED:
        return False
    source = session.exec(
        select(ConsentRecord.source)
        .where(ConsentRecord.subscriber_id == id_of(subscriber))
        .where(ConsentRecord.action == ConsentAction.PAUSED)
        .order_by(col(ConsentRecord.id).desc())
    ).first()
    return (source or "").startswith(OURS)


def _record_pause(
    session: Session,
    subscriber: Subscriber,
    until: datetime | None,
    *,
    source: str,
    network: str,
    now: datetime,
) -> Changed:
    subscriber.status, subscriber.paused_until = SubscriberStatus.PAUSED, until
    detail = {"until": until.isoformat()} if until else {}
    record(
        session,
        id_of(subscriber),
        ConsentAction.PAUSED,
        source=source,
        network=network,
        detail=detail,
        now=now,
    )
    return Changed.CHANGED


def _resume(
    session: Session, subscriber: Subscriber, *, source: str, network: str, now: datetime
) -> Changed:
    if subscriber.status == SubscriberStatus.ACTIVE:
        return Changed.UNCHANGED
    subscriber.status, subscriber.paused_until = SubscriberStatus.ACTIVE, None
    record(
        session,
        id_of(subscriber),
        ConsentAction.RESUMED,
        source=source,
        network=network,
        now=now,
    )
    return Changed.CHANGED


def _topics(session: Session, subscriber_id: int) -> frozenset[str]:
    return frozenset(
        session.exec(
            select(SubscriberTopic.topic).where(SubscriberTopic.subscriber_id == subscriber_id)
        )
    )


def _set_topics(session: Session, subscriber_id: int, topics: frozenset[str]) -> None:
    had = _topics(session, subscriber_id)
    if had - topics:
        session.execute(
            delete(SubscriberTopic)
            .where(col(SubscriberTopic.subscriber_id) == subscriber_id)
            .where(col(SubscriberTopic.topic).in_(had - topics))
        )
    session.add_all(
        SubscriberTopic(subscriber_id=subscriber_id, topic=topic) for topic in topics - had
    )
    session.flush()
