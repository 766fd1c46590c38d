"""Mails about our mail taken in, one transaction each: on record once, with all that follows.

A mail is known by its digest, so a mailbox may be read again and again. Only when its transaction
is committed is its source told that it was read: a database that is locked or full loses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from newsletter import endings, letters
from newsletter.app import App
from newsletter.delivery import bounces
from newsletter.delivery.bounces import NOTHING, Followed, Told
from newsletter.errors import RefusedError, TransientError
from newsletter.inbound import report as reports
from newsletter.inbound import tracing
from newsletter.inbound.report import Kind, Ours, Report
from newsletter.inbound.tracing import Traced
from newsletter.store.models import InboundReport
from newsletter.tracking import events
from newsletter.tracking.events import EventKind
from subscribers.models import Subscriber, SubscriberStatus
from subscribers.policy import Verdict

_log = structlog.get_logger(__name__)
_CONSEQUENTIAL = (Kind.BOUNCE, Kind.COMPLAINT, Kind.UNSUBSCRIBE)


class Mail(Protocol):
    """One mail of a source."""

    @property
    def raw(self) -> bytes:
        """Its beginning: `mime.MAX_OCTETS` of it, or all. Raises RefusedError."""
        ...

    def mark_read(self) -> None:
        """It is on record: the source need not give it again. Raises RefusedError."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one mail. is_new: whether it was not on record before."""

    report: Report
    traced: Traced
    followed: Followed = NOTHING
    is_new: bool = True


@dataclass(slots=True)
class Summary:
    """One reading. verdicts: new reports by `kind/verdict`; waiting: to be read again later."""

    read: int = 0
    known: int = 0
    waiting: int = 0
    suppressed: int = 0
    left: int = 0
    untraced: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)  # status codes of faults of ours
    troubles: list[str] = field(default_factory=list)  # mails that could not be read or marked

    def add(self, taken: Taken) -> None:
        self.read += 1
        self.known += not taken.is_new
        if not taken.is_new:
            return
        self.verdicts[f"{taken.report.kind}/{taken.report.verdict}"] += 1
        self.suppressed += taken.followed.suppressed is not None
        self.left += taken.followed.left
        self.untraced += bool(taken.traced.why_not)
        if taken.followed.alert:
            self.alerts[taken.report.code or "no code"] += 1


def read_all(app: App, mails: Iterable[Mail]) -> Summary:
    """Takes every mail in; one that cannot be read or marked is a trouble and stops no other.

    Raises StoreError at the first that the database cannot take: it and those after it stay unread.
    One that is about a message still being sent waits, unread.
    """
    summary = Summary()
    try:
        for mail in mails:
            _read_one(app, mail, summary)
    finally:
        if isinstance(mails, Generator):
            mails.close()  # a connection must not wait for the garbage collector
    for code, count in summary.alerts.items():
        _log.warning("bounced_for_our_fault", code=code, mails=count)
    return summary


def _read_one(app: App, mail: Mail, summary: Summary) -> None:
    try:
        summary.add(take(app, mail.raw))
        mail.mark_read()
    except TransientError:
        summary.waiting += 1
    except RefusedError as error:
        summary.troubles.append(error.what)


def take(app: App, raw: bytes) -> Taken:
    """One mail, in its own transaction. Raises TransientError, StoreError; then nothing changed."""
    report, digest = _readable(app, raw), reports.digest(raw)
    # Looked for before anything is locked: among many deliveries it may take seconds.
    with app.session(readonly=True) as session:
        traced = Traced() if _is_known(session, digest) else _trace(app, session, report)
    try:
        return _record(app, digest, report, traced)
    except IntegrityError:
        # The losing case: another process put the same mail on record a moment ago.
        with app.session(readonly=True) as session:
            if not _is_known(session, digest):
                raise
        return Taken(report, Traced(), is_new=False)


def _record(app: App, digest: str, report: Report, traced: Traced) -> Taken:
    now = app.clock()
    with app.session() as session:
        if _is_known(session, digest):
            return Taken(report, Traced(), is_new=False)
        is_erased = _is_erased(session, traced)
        if is_erased:  # nothing names them again, and the words of a server may
            report = replace(report, reason="")
        followed = _follow(app, session, report, traced, now)
        session.add(
            InboundReport(
                digest=digest,
                received_at=now,
                kind=report.kind,
                verdict=report.verdict,
                code=report.code[:16],
                reason="; ".join(filter(None, (report.reason, traced.why_not))),
                issue_id=traced.issue_id,
                subscriber_id=None if is_erased else traced.subscriber_id,
            )
        )
        return Taken(report, traced, followed)


def _is_erased(session: Session, traced: Traced) -> bool:
    reader = session.get(Subscriber, traced.subscriber_id) if traced.subscriber_id else None
    return reader is not None and reader.status == SubscriberStatus.ERASED


def _is_known(session: Session, digest: str) -> bool:
    query = select(InboundReport.id).where(InboundReport.digest == digest)
    return session.exec(query).first() is not None


def _readable(app: App, raw: bytes) -> Report:
    settings = app.settings
    ours = Ours(settings.bounces_to, settings.unsubscribe_mailto, settings.public_url)
    try:
        return reports.read_report(raw, ours)
    except Exception as error:  # noqa: BLE001  (a mail that our reader trips over stops no other)
        _log.warning("report_unreadable", error=type(error).__name__)
        why = f"could not be read: {type(error).__name__}"
        return Report(Kind.UNKNOWN, Verdict.UNCLASSIFIED, reason=why)


def _trace(app: App, session: Session, report: Report) -> Traced:
    """Nothing is looked up for a mail from which nothing could follow."""
    if report.kind not in _CONSEQUENTIAL:
        return Traced()
    if report.kind is Kind.UNSUBSCRIBE and not report.clues.unsubscribe_tokens:
        return Traced()
    return tracing.trace(app, session, report.clues)


def _follow(app: App, session: Session, report: Report, traced: Traced, now: datetime) -> Followed:
    if traced.subscriber_id is None:
        return NOTHING
    detail = " ".join(filter(None, (report.code, report.reason)))
    told = Told(
        traced.subscriber_id, traced.issue_id, report.verdict, detail, sent_at=traced.sent_at
    )
    followed = bounces.follow(session, told, now)
    if followed.left and report.kind is Kind.UNSUBSCRIBE:
        letters.goodbye(session, traced.subscriber_id, now=now)
    if followed.left and traced.issue_id:
        _event(session, traced.issue_id, traced.subscriber_id, now)
    if followed.moved and traced.issue_id:
        endings.end_where_complete(session, traced.issue_id, now=now)
    return followed


def _event(session: Session, issue_id: int, subscriber_id: int, now: datetime) -> None:
    events.append(
        session,
        issue_id=issue_id,
        subscriber_id=subscriber_id,
        kind=EventKind.UNSUBSCRIBE,
        link=None,
        at=now,
        method="MAIL",
        agent="",
        network="",
    )
