"""Events of providers taken in: whose they are, what the ledger makes of them, and what follows.

A mark or a token counts only where we made it: each is made again and compared. Whoever told them
is answered once all events of a call are kept, and may tell them again where it got no answer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from time import sleep
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlmodel import Session, select

from newsletter import endings, letters, mailings
from newsletter.app import App
from newsletter.delivery import evidence, system_sent
from newsletter.delivery import feedback as ledger
from newsletter.delivery.feedback import TakenIn, Traced
from newsletter.delivery.verdicts import WEIGHTY
from newsletter.editorial.issues import WEEKLY
from newsletter.errors import TokenError
from newsletter.providers.told import ProviderEvent
from newsletter.store.models import Issue, SystemMail
from newsletter.tracking import events as readers_events
from newsletter.tracking import snapshots
from newsletter.tracking.events import EventKind

AT_ONCE: Final = 1_000  # events of one transaction
WEIGHTY_AT_ONCE: Final = 500  # followed one by one: a bounce is half a millisecond, a leaving four
PAUSE_S: Final = 0.1  # between two: who waits for SQLite's lock looks again ten times a second

# A Message-ID's local part and the reader's number: `2026-w48-correction.5a0c...e1.1207`.
_MARK: Final = re.compile(
    r"(?P<local>(?P<slug>(?P<week>\d{4}-w\d{2})(?:-(?P<kind>[a-z]{1,16}))?)\.[0-9a-f]{24})"
    r"\.(?P<key>[1-9]\d{0,17})",
    re.ASCII,
)
_SYSTEM_MARK: Final = re.compile(
    r"(?P<kind>[a-z_]{1,24})\.(?P<mark>[0-9a-f]{24})\.(?P<key>[1-9]\d{0,8})", re.ASCII
)
_SLUG: Final = re.compile(r"(?P<week>\d{4}-w\d{2})(?:-(?P<kind>[a-z]{1,16}))?\.", re.ASCII)

# By event's index on (subscriber_id, issue_id).
_LEFT_THROUGH: Final = text(
    "SELECT EXISTS (SELECT 1 FROM event WHERE subscriber_id = :subscriber_id"
    " AND issue_id = :issue_id AND kind = 'unsubscribe')"
)

# By provider_event's index on what waits.
_WAITING: Final = text(
    "SELECT DISTINCT issue_id FROM provider_event WHERE is_waiting AND issue_id IS NOT NULL"
)


def take(app: App, provider: str, events: Sequence[ProviderEvent]) -> TakenIn:
    """Puts a provider's events on record with all that follows, some at a time.

    Taking the same ones in again changes nothing. Raises StoreError; then the first of them may be
    on record, and the provider tells all of them again.
    """
    # Looked for before anything is locked: Message-IDs among many deliveries take seconds.
    with app.session(readonly=True) as session:
        traced = trace(app, session, events)
    whole = TakenIn()
    for number, some in enumerate(_in_turns(traced)):
        if number:
            sleep(PAUSE_S)
        now = app.clock()
        with app.session() as session:
            done = ledger.take_in(session, provider, some, now)
            _follow_up(session, done, now)
        whole.add(done)
    return whole


def _in_turns(traced: Sequence[Traced]) -> Iterator[Sequence[Traced]]:
    """As many as hold the database's lock for about a second at most."""
    start = weighty = 0
    for end, one in enumerate(traced):
        if end - start == AT_ONCE or weighty == WEIGHTY_AT_ONCE:
            yield traced[start:end]
            start, weighty = end, 0
        weighty += one.event.kind in WEIGHTY
    if start < len(traced):
        yield traced[start:]


def look_again(app: App) -> Iterator[str]:
    """Follows events that came while their message was still being sent; says how many."""
    count = 0
    while True:
        now = app.clock()
        with app.session() as session:
            waiting = session.execute(_WAITING).scalars().all()
            done = ledger.look_again(session, now)
            _follow_up(session, done, now)
            for issue_id in waiting if done.told else ():
                snapshots.outdate(session, issue_id)
        count += done.told
        if done.told < ledger.AT_ONCE:
            break
    if count:
        yield f"provider events that had waited for a sender: {count}"


def _follow_up(session: Session, done: TakenIn, now: datetime) -> None:
    for subscriber_id in done.left:
        letters.goodbye(session, subscriber_id, now=now)
    for issue_id, subscriber_id in sorted(done.through):
        _say_once(session, issue_id, subscriber_id, now)
    for issue_id in sorted(done.settled):
        endings.end_where_complete(session, issue_id, now=now)


def _say_once(session: Session, issue_id: int, subscriber_id: int, now: datetime) -> None:
    """That somebody left through an issue is a fact of each such issue, whichever came first."""
    ids = {"issue_id": issue_id, "subscriber_id": subscriber_id}
    if session.execute(_LEFT_THROUGH, ids).scalar():
        return
    readers_events.append(
        session,
        **ids,
        kind=EventKind.UNSUBSCRIBE,
        link=None,
        at=now,
        method="MAIL",
        agent="",
        network="",
    )


class _Ours(NamedTuple):
    """An issue, and how its Message-IDs are made."""

    id: int
    message_id_of: Callable[[int], str]


def trace(app: App, session: Session, events: Sequence[ProviderEvent]) -> list[Traced]:
    """Whose delivery each is about, in the same order; nobody's where nothing of ours proves it."""
    issues: dict[str, _Ours | None] = {}
    by_message_id = _by_message_ids(app, session, events, issues)
    traced = []
    for event in events:
        if event.mark:
            traced.append(_by_mark(app, session, event, issues))
        elif event.token:
            traced.append(_by_token(app, session, event))
        elif event.message_id in by_message_id:
            traced.append(Traced(event, *by_message_id[event.message_id]))
        else:
            traced.append(Traced(event))
    return traced


def _by_mark(
    app: App, session: Session, event: ProviderEvent, issues: dict[str, _Ours | None]
) -> Traced:
    found = _MARK.fullmatch(event.mark)
    if found is None:
        return _by_system_mark(app, session, event)
    local, slug, week, kind, key = found.groups()
    ours = issues[slug] if slug in issues else _issue(app, session, issues, slug, week, kind)
    if ours is None:
        return Traced(event)
    subscriber_id = int(key)
    made = ours.message_id_of(subscriber_id).partition("@")[0]
    return Traced(event, ours.id, subscriber_id) if made == local else Traced(event)


def _issue(
    app: App,
    session: Session,
    issues: dict[str, _Ours | None],
    slug: str,
    week: str,
    kind: str | None,
) -> _Ours | None:
    query = select(Issue.id).where(Issue.week == week.upper(), Issue.kind == (kind or WEEKLY))
    id_ = session.exec(query).first()
    found = _Ours(id_, mailings.message_id_maker(app, id_, slug)) if id_ is not None else None
    issues[slug] = found
    return found


def _by_system_mark(app: App, session: Session, event: ProviderEvent) -> Traced:
    found = _SYSTEM_MARK.fullmatch(event.mark)
    mail = session.get(SystemMail, int(found["key"])) if found else None
    if found is None or mail is None or mail.kind != found["kind"]:
        return Traced(event)
    is_ours = app.keyring.fingerprint(mail.once) == found["mark"]
    if not is_ours:
        return Traced(event)
    return Traced(event, None, mail.subscriber_id, system_sent.sent_at(mail))


def _by_token(app: App, session: Session, event: ProviderEvent) -> Traced:
    for read in (app.keyring.read_bounce, app.keyring.read_delivery):
        try:
            named = read(event.token)
        except TokenError:
            continue
        if named.subscriber_id:
            if session.get(Issue, named.issue_id) is not None:
                return Traced(event, named.issue_id, named.subscriber_id)
            sent_at = system_sent.of_reader(
                session,
                named.subscriber_id,
                [event.message_id],
                app.keyring.fingerprint,
                app.clock(),
            )
            return Traced(event, None, named.subscriber_id, sent_at)
    return Traced(event)


def _by_message_ids(
    app: App,
    session: Session,
    events: Sequence[ProviderEvent],
    issues: dict[str, _Ours | None],
) -> dict[str, tuple[int, int]]:
    """Issue and reader by Message-ID: one walk over the deliveries of each issue that is named."""
    named: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        if (start := _SLUG.match(event.message_id)) is not None:
            named[start[0].removesuffix(".")].add(event.message_id)
    found: dict[str, tuple[int, int]] = {}
    for slug, message_ids in named.items():
        parts = _SLUG.match(f"{slug}.")
        issue = partial(_issue, app, session, issues, slug)
        ours = issue(parts["week"], parts["kind"]) if parts else None
        if ours is not None:
            readers = evidence.readers_of(session, ours.id, message_ids, ours.message_id_of)
            found |= {message_id: (ours.id, id_) for message_id, id_ in readers.items()}
    return found
