"""System mails: one mail about one thing to one person, queued in the caller's transaction.

A mail is a row; `once` says what it is about, so the same thing is never said twice. Draining
claims rows (attempting), commits, hands them to the provider with no transaction open, and commits
the answers. What a dead process left attempting is settled by the provider's evidence, and without
evidence it is uncertain: never sent again by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby
from typing import Any

from sqlalchemy import Engine, insert, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from newsletter.errors import (
    NewsletterError,
    PermanentError,
    ProviderError,
    RefusedError,
    TemplateError,
    TransientError,
)
from newsletter.providers.base import (
    Envelope,
    Evidence,
    Mailing,
    Outcome,
    Provider,
    Receipt,
    Unlogged,
)
from newsletter.store.engine import session_on
from newsletter.store.models import SystemMail
from newsletter.store.states import SystemMailState
from subscribers.errors import AudienceError
from subscribers.models import Subscriber, SubscriberStatus

FOLDER = "system"
AT_ONCE = 500
LOST_AFTER = timedelta(minutes=10)  # an attempt older than this was left by a process that died
GIVEN_UP_AFTER = timedelta(days=7)  # as long as a confirmation link lives


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed system mail: what to say, to whom, and when it was asked for."""

    id: int
    kind: str
    once: str
    subscriber_id: int | None
    address: str
    facts: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Drained:
    """What one draining did."""

    submitted: int = 0
    failed: int = 0
    uncertain: int = 0


MailingOf = Callable[[str, Mapping[str, str], datetime], Mailing]  # kind, facts, date
EnvelopeOf = Callable[[Due], Envelope]


def queue(
    session: Session,
    kind: str,
    *,
    once: str,
    now: datetime,
    subscriber_id: int | None = None,
    address: str = "",
    facts: Mapping[str, str] | None = None,
) -> bool:
    """Writes the mail down unless `once` was said before; True when it is new.

    Either a subscriber (whose address is looked up when it is sent) or an address.
    """
    values: dict[str, Any] = {
        "kind": kind,
        "once": once,
        "subscriber_id": subscriber_id,
        "address": address,
        "facts": dict(facts or {}),
        "state": SystemMailState.PLANNED,
        "reason": "",
        "attempts": 0,
        "created_at": now,
    }
    try:
        with session.begin_nested():
            session.execute(insert(SystemMail).values(values))
    except IntegrityError:  # somebody said it already
        return False
    return True


def drain(
    engine: Engine,
    provider: Provider,
    *,
    mailing_of: MailingOf,
    envelope_of: EnvelopeOf,
    now: datetime,
) -> Drained:
    """Sends what is due; every row it took ends with an answer.

    Raises TemplateError or RefusedError, once the rest is accounted for, where a mail cannot be
    written (its template is broken, a setting can stand in no header): what it should have said
    stays planned, and goes out when that is mended.
    """
    total = Drained()
    broken: list[NewsletterError] = []
    _recover(engine, provider, mailing_of, envelope_of, now, broken)
    while due := _claim(engine, now):
        receipts = list(_submit_all(provider, due, mailing_of, envelope_of, broken))
        total = _added(total, _finish(engine, receipts, now))
        if any(receipt.outcome is Outcome.DEFERRED for receipt in receipts):
            break  # a template, or the provider, is not well: the next tick tries again
    if broken:
        raise broken[0]
    return total


def _claim(engine: Engine, now: datetime) -> list[Due]:
    """Takes up to AT_ONCE planned mails; those of readers who left meanwhile fail with a reason."""
    with session_on(engine) as session:
        rows = session.exec(
            select(SystemMail)
            .where(SystemMail.state == SystemMailState.PLANNED)
            .order_by(col(SystemMail.id))
            .limit(AT_ONCE)
        ).all()
        due = []
        for mail in rows:
            address = _address(session, mail)
            mail.attempts += 1
            mail.claimed_at = now
            mail.state = SystemMailState.ATTEMPTING if address else SystemMailState.FAILED
            if address:
                due.append(_due(mail, address))
            else:
                mail.reason = "the reader's profile was erased"
        return due


def _recover(
    engine: Engine,
    provider: Provider,
    mailing_of: MailingOf,
    envelope_of: EnvelopeOf,
    now: datetime,
    broken: list[NewsletterError],
) -> None:
    """Settles what a dead process left attempting, by the provider's evidence."""
    with session_on(engine, readonly=True) as session:
        rows = session.exec(
            select(SystemMail)
            .where(SystemMail.state == SystemMailState.ATTEMPTING)
            .where(col(SystemMail.claimed_at) <= now - LOST_AFTER)
        ).all()
        lost = [_due(mail, _address(session, mail)) for mail in rows]
    for (kind, facts), group in _alike(lost):
        mails = list(group)
        try:
            mailing = mailing_of(kind, facts, mails[0].created_at)
        except (TemplateError, RefusedError) as error:
            broken.append(error)  # asked again once it is mended
            continue
        # Whose address is gone or refused has no envelope, and so no evidence: uncertain for good.
        envelopes, _refused = _enveloped(mails, envelope_of)
        evidence = provider.evidence(mailing, envelopes)
        states = {
            Evidence.TAKEN: SystemMailState.SUBMITTED,
            Evidence.NOT_TAKEN: SystemMailState.PLANNED,
            Evidence.UNKNOWN: SystemMailState.UNCERTAIN,
        }
        with session_on(engine) as session:
            for mail in mails:
                state = states[evidence.get(mail.id, Evidence.UNKNOWN)]
                _settle(session, mail.id, state, "left by a process that ended", now)


def _submit_all(
    provider: Provider,
    due: Sequence[Due],
    mailing_of: MailingOf,
    envelope_of: EnvelopeOf,
    broken: list[NewsletterError],
) -> Iterator[Receipt]:
    # The text of a mail is the same for everybody it says the same facts to: rendered once a group.
    for (kind, facts), group in _alike(due):
        mails = list(group)
        answered: set[int] = set()
        try:
            mailing = mailing_of(kind, facts, mails[0].created_at)
            envelopes, refused = _enveloped(mails, envelope_of)
            for receipt in chain(refused, provider.submit(mailing, envelopes, Unlogged())):
                answered.add(receipt.key)
                yield receipt
            outcome, detail = Outcome.UNCERTAIN, "the provider gave no answer"
        except TransientError as error:
            outcome, detail = Outcome.DEFERRED, error.what
        except (TemplateError, RefusedError) as error:
            broken.append(error)
            outcome, detail = Outcome.DEFERRED, error.what
        except PermanentError as error:
            outcome, detail = Outcome.FAILED, error.what
        except ProviderError as error:
            outcome, detail = Outcome.UNCERTAIN, error.what
        for mail in mails:
            if mail.id not in answered:
                yield Receipt(mail.id, outcome, detail)


def _enveloped(
    mails: Sequence[Due], envelope_of: EnvelopeOf
) -> tuple[list[Envelope], list[Receipt]]:
    """An envelope for each mail that can have one; the others fail, and keep nobody else back."""
    envelopes, refused = [], []
    for mail in mails:
        try:
            envelopes.append(envelope_of(mail))
        except (AudienceError, PermanentError, RefusedError) as error:
            refused.append(Receipt(mail.id, Outcome.FAILED, error.what))
    return envelopes, refused


def _finish(engine: Engine, receipts: Sequence[Receipt], now: datetime) -> Drained:
    states = {
        Outcome.SUBMITTED: SystemMailState.SUBMITTED,
        Outcome.DEFERRED: SystemMailState.PLANNED,
        Outcome.BOUNCED: SystemMailState.FAILED,
        Outcome.FAILED: SystemMailState.FAILED,
        Outcome.UNCERTAIN: SystemMailState.UNCERTAIN,
    }
    with session_on(engine) as session:
        for receipt in receipts:
            _settle(session, receipt.key, states[receipt.outcome], receipt.detail, now)
        session.execute(
            update(SystemMail)
            .where(col(SystemMail.state) == SystemMailState.PLANNED)
            .where(col(SystemMail.created_at) < now - GIVEN_UP_AFTER)
            .values(state=SystemMailState.FAILED)
        )
    outcomes = [receipt.outcome for receipt in receipts]
    return Drained(
        submitted=outcomes.count(Outcome.SUBMITTED),
        failed=outcomes.count(Outcome.FAILED) + outcomes.count(Outcome.BOUNCED),
        uncertain=outcomes.count(Outcome.UNCERTAIN),
    )


def _settle(
    session: Session, mail_id: int, state: SystemMailState, reason: str, now: datetime
) -> None:
    session.execute(
        update(SystemMail)
        # Only from attempting: whoever lost the claim changes nothing.
        .where(col(SystemMail.id) == mail_id)
        .where(col(SystemMail.state) == SystemMailState.ATTEMPTING)
        .values(
            state=state,
            reason=reason,
            sent_at=now if state is SystemMailState.SUBMITTED else None,
        )
    )


def _address(session: Session, mail: SystemMail) -> str:
    if mail.subscriber_id is None:
        return mail.address
    reader = session.get(Subscriber, mail.subscriber_id)
    return "" if reader is None or reader.status == SubscriberStatus.ERASED else reader.address


def _due(mail: SystemMail, address: str) -> Due:
    return Due(
        id=mail.id or 0,
        kind=mail.kind,
        once=mail.once,
        subscriber_id=mail.subscriber_id,
        address=address,
        facts=mail.facts,
        created_at=mail.created_at,
    )


def _alike(due: Iterable[Due]) -> Iterator[tuple[tuple[str, Mapping[str, str]], Iterator[Due]]]:
    def said(mail: Due) -> tuple[str, str]:
        return mail.kind, json.dumps(mail.facts, sort_keys=True)

    for (kind, facts), group in groupby(sorted(due, key=said), key=said):
        yield (kind, json.loads(facts)), group


def _added(left: Drained, right: Drained) -> Drained:
    return Drained(
        left.submitted + right.submitted,
        left.failed + right.failed,
        left.uncertain + right.uncertain,
    )
