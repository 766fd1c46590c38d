"""Refusals for our own fault: told to operators the same hour, not found in a log.

By mail, once a cause and day; of a day with many causes, the largest few each in a mail of its own
and all the others in one. It works from the events on record alone, so whoever asks, and however
often, a day's refusals for a cause are told once.

A mail never quotes a server: its words may name a reader, and a mail outlives their erasure. And
who runs a domain that we write to chooses the codes: it must not choose how many mails there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final, NamedTuple

from sqlmodel import Session, col, select

from newsletter import notices, wording
from newsletter.app import App
from newsletter.delivery import fault_codes, fault_counts, system_mail
from newsletter.delivery.fault_counts import Cause
from newsletter.plurals import counted
from newsletter.store.models import SystemMail

KIND: Final = "own_fault"
KIND_OF_OTHERS: Final = "own_faults_more"
GATHERED: Final = timedelta(minutes=10)  # refusals come in a burst: told too soon, it is of one
DAYS: Final = 3  # with today: nobody may have ticked for a weekend
EARLIER: Final = timedelta(days=7)
MOST_A_DAY: Final = 5  # causes of a day with a mail of their own
LARGEST: Final = 5  # of the others, named in theirs

_OTHERS: Final = "others"


class Fault(NamedTuple):
    """A day's refusals for one cause. day: of UTC. many: until now. before: in the week before."""

    cause: Cause
    day: date
    many: int
    before: int

    @property
    def once(self) -> str:
        return f"{self.day}:{self.cause.name}"

    @property
    def said(self) -> str:
        return f"{counted(self.many, 'refusal')} for our own fault ({self.cause.name})"


class Others(NamedTuple):
    """A day's causes without a mail of their own. largest: names with how many, most first."""

    day: date
    causes: int
    many: int
    largest: tuple[tuple[str, int], ...]

    @property
    def once(self) -> str:
        return f"{self.day}:{_OTHERS}"

    @property
    def said(self) -> str:
        refused, causes = counted(self.many, "refusal"), counted(self.causes, "other cause")
        return f"{refused} for our own fault ({causes})"


def tell(app: App) -> Iterator[str]:
    """A part of the tick: queues a mail for each cause and day of which somebody was not told."""
    yield from ()
    people = notices.operators(app)
    if not people:
        return
    today = app.clock().astimezone(UTC).date()
    with app.session(readonly=True) as session:
        days = (today - timedelta(days=n) for n in reversed(range(DAYS)))
        due = [one for day in days for one in _due(app, session, day, people).items()]
    for news, whom in due:
        with app.session() as session:
            fresh = [one for one in whom if _queue(app, session, news, one)]
        if fresh:  # else another process was sooner
            yield f"{news.said}, queued for {counted(len(fresh), 'person', 'people')}"


def facts_of(fault: Fault) -> dict[str, str]:
    """The refusals for one cause as a mail's facts."""
    cause = fault.cause
    means, mend = fault_codes.meaning(cause.name)
    return {
        "name": cause.name,
        "what": "The provider does not even try to deliver our mail"
        if cause.is_drop
        else "Mailboxes refuse our mail",
        "many": counted(fault.many, "refusal"),
        "cause": f"the provider's reason “{cause.name}”" if cause.is_drop else f"code {cause.name}",
        "day": _on(fault.day),
        "before": f"{fault.before:,}" if fault.before else "none",
        "means": means,
        "mend": mend,
        **_COMMANDS,
    }


def facts_of_others(others: Others) -> dict[str, str]:
    """All others of a day as a mail's facts."""
    return {
        "day": _on(others.day),
        "causes": counted(others.causes, "other code or reason", "other codes or reasons"),
        "many": counted(others.many, "refusal"),
        "largest": ", ".join(f"{name} ({many:,})" for name, many in others.largest),
        **_COMMANDS,
    }


_COMMANDS: Final = {
    "pause": "newsletter issue pause latest",
    "proof": "newsletter issue proof latest --csv",
}


def _on(day: date) -> str:
    return wording.day(datetime.combine(day, time(), UTC))


def _due(
    app: App, session: Session, day: date, people: list[str]
) -> dict[Fault | Others, list[str]]:
    """What of a day is to be told, and whom."""
    found = fault_counts.causes(session, day, by=app.clock() - GATHERED)
    within = fault_counts.within(day)

    @cache
    def many(cause: Cause) -> int:
        return fault_counts.many(session, cause, **within)

    due: defaultdict[Fault | Others, list[str]] = defaultdict(list)
    for person in people if found else ():
        told = _told(app, session, day, found, person)
        alone, others = _shared_out(found, told, many)
        for cause in alone:
            due[_fault(session, cause, day, many(cause))].append(person)
        if others:
            due[_others(day, others, many)].append(person)
    return due


def _shared_out(
    found: Sequence[Cause], told: set[str], many: Callable[[Cause], int]
) -> tuple[list[Cause], list[Cause]]:
    """Which causes have a mail of their own now, most refusals first, and which share one."""
    fresh = [cause for cause in found if cause.name not in told]
    left = MOST_A_DAY - (len(found) - len(fresh))
    if not fresh or (left <= 0 and _OTHERS in told):  # then nothing is counted, of however many
        return [], []
    ranked = sorted(fresh, key=lambda cause: (-many(cause), cause.name))
    alone = ranked[: max(left, 0)]
    return alone, [] if _OTHERS in told else ranked[len(alone) :]


def _fault(session: Session, cause: Cause, day: date, many: int) -> Fault:
    start = fault_counts.within(day)["start"]
    before = fault_counts.many(session, cause, start=start - EARLIER, end=start)
    return Fault(cause, day, many, before)


def _others(day: date, causes: Sequence[Cause], many: Callable[[Cause], int]) -> Others:
    """causes: most refusals first."""
    largest = tuple((cause.name, many(cause)) for cause in causes[:LARGEST])
    return Others(day, len(causes), sum(map(many, causes)), largest)


def _told(app: App, session: Session, day: date, found: Sequence[Cause], person: str) -> set[str]:
    """Of which of these causes somebody was told: by the unique index of `system_mail.once`."""
    names = [_OTHERS, *(cause.name for cause in found)]
    wanted = {_once(app, f"{day}:{name}", person): name for name in names}
    query = select(SystemMail.once).where(col(SystemMail.once).in_(wanted))
    return {wanted[once] for once in session.exec(query)}


def _queue(app: App, session: Session, news: Fault | Others, person: str) -> bool:
    if isinstance(news, Fault):
        kind, facts = KIND, facts_of(news)
    else:
        kind, facts = KIND_OF_OTHERS, facts_of_others(news)
    once = _once(app, news.once, person)
    return system_mail.queue(session, kind, once=once, address=person, facts=facts, now=app.clock())


def _once(app: App, about: str, person: str) -> str:
    return f"{KIND}:{about}:{app.keyring.fingerprint(person)}"
