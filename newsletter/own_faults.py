"""Refusals for our own fault: told to operators the same hour, not found in a log.

By mail, once a code and day. It works from the events on record alone, so whoever asks, and however
often, a day's refusals of a code are told once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter import notices, wording
from newsletter.app import App
from newsletter.delivery import fault_codes, system_mail
from newsletter.plurals import counted
from newsletter.store.feedback import IS_REFUSED
from newsletter.store.models import SystemMail

KIND: Final = "own_fault"
GATHERED: Final = timedelta(minutes=10)  # refusals come in a burst: told too soon, it is of one
DAYS: Final = 3  # with today: nobody may have ticked for a weekend
EARLIER: Final = timedelta(days=7)
MAX_WORDS: Final = 300  # characters of what a server said


class Fault(NamedTuple):
    """A day's refusals with one code. day: of UTC. many: until now. before: in the week before.

    words: of the newest, without any address; "" where it gave none.
    """

    code: str
    day: date
    many: int
    before: int
    words: str


def _timed(statement: str) -> Any:
    bound = (bindparam(name, type_=UTCDateTime()) for name in ("start", "end"))
    return text(statement).bindparams(*bound)


# All on ix_provider_event_refused (code, received_at), which holds refusals only. From each code it
# steps straight to the next one: of a dozen codes, a dozen looks, however many events there are.
_CODES: Final = text(
    "WITH RECURSIVE told (code) AS ("  # noqa: S608  (ours)
    f" SELECT min(code) FROM provider_event WHERE {IS_REFUSED}"
    " UNION ALL"
    f" SELECT (SELECT min(code) FROM provider_event WHERE {IS_REFUSED} AND code > told.code)"
    " FROM told WHERE told.code IS NOT NULL"
    ") SELECT code FROM told WHERE code IS NOT NULL"
)
_OF_DAY: Final = f"{IS_REFUSED} AND code = :code AND received_at >= :start AND received_at < :end"
_FIRST: Final = _timed(
    f"SELECT min(received_at) AS at FROM provider_event WHERE {_OF_DAY}"  # noqa: S608
).columns(at=UTCDateTime())
_MANY: Final = _timed(f"SELECT count(*) FROM provider_event WHERE {_OF_DAY}")  # noqa: S608
_WORDS: Final = _timed(
    f"SELECT detail FROM provider_event WHERE {_OF_DAY}"  # noqa: S608
    " ORDER BY received_at DESC LIMIT 1"
)


def tell(app: App) -> Iterator[str]:
    """A part of the tick: queues a mail for each code and day of which nobody was told."""
    yield from ()
    people = notices.operators(app)
    if not people:
        return
    with app.session(readonly=True) as session:
        due = list(_due(app, session, people))
    for fault in due:
        with app.session() as session:
            fresh = [one for one in people if _queue(app, session, fault, one)]
        told = counted(len(fresh), "person", "people")
        refused = counted(fault.many, "refusal")
        yield f"{refused} for our own fault ({fault.code}), queued for {told}"


def facts_of(fault: Fault) -> dict[str, str]:
    """The refusals as a mail's facts."""
    means, mend = fault_codes.meaning(fault.code)
    return {
        "code": fault.code,
        "many": counted(fault.many, "refusal"),
        "day": wording.day(datetime.combine(fault.day, time(), UTC)),
        "before": f"{fault.before:,}" if fault.before else "none",
        "means": means,
        "mend": mend,
        "words": fault.words,
        "pause": "newsletter issue pause latest",
        "proof": "newsletter issue proof latest",
    }


def _due(app: App, session: Session, people: list[str]) -> Iterator[Fault]:
    now = app.clock()
    today = now.astimezone(UTC).date()
    for code in session.execute(_CODES).scalars():
        if not fault_codes.is_ours(code):
            continue
        for day in (today - timedelta(days=n) for n in reversed(range(DAYS))):
            first = session.execute(_FIRST, _within(code, day)).scalar()
            is_due = first is not None and first <= now - GATHERED
            if is_due and not _was_told(app, session, code, day, people):
                yield _fault(session, code, day)


def _fault(session: Session, code: str, day: date) -> Fault:
    within = _within(code, day)
    before = {**within, "start": within["start"] - EARLIER, "end": within["start"]}
    return Fault(
        code,
        day,
        many=session.execute(_MANY, within).scalar_one(),
        before=session.execute(_MANY, before).scalar_one(),
        words=" ".join(session.execute(_WORDS, within).scalar_one().split())[:MAX_WORDS],
    )


def _within(code: str, day: date) -> dict[str, Any]:
    start = datetime.combine(day, time(), UTC)
    return {"code": code, "start": start, "end": start + timedelta(days=1)}


def _was_told(app: App, session: Session, code: str, day: date, people: list[str]) -> bool:
    """Whether everybody was: looked up in the unique index of `system_mail.once`."""
    wanted = {_once(app, code, day, one) for one in people}
    said = session.exec(select(SystemMail.once).where(col(SystemMail.once).in_(wanted))).all()
    return wanted == set(said)


def _queue(app: App, session: Session, fault: Fault, address: str) -> bool:
    once, facts = _once(app, fault.code, fault.day, address), facts_of(fault)
    return system_mail.queue(
        session, KIND, once=once, address=address, facts=facts, now=app.clock()
    )


def _once(app: App, code: str, day: date, address: str) -> str:
    return f"{KIND}:{code}:{day}:{app.keyring.fingerprint(address)}"
