"""What operators do to the list: every act of theirs is in the audit log, in its own transaction.

Readers act for themselves in `newsletter.readers`; here somebody acts on them, and is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from newsletter.app import App
from newsletter.errors import NotFoundError
from newsletter.store import search
from subscribers import audit, bulk, consent, segments, suppression, tags, undo
from subscribers.address import EmailAddress, clean_name
from subscribers.effects import BulkAction
from subscribers.models import AuditEntry, Subscriber, SubscriberStatus, SuppressionReason

ADD, SUPPRESS_ADDRESS, LIFT = "add", "suppress address", "lift suppression"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a bulk act or an undo did, or would do. entry: its place in the audit log, if any.

    sample: addresses of the first ten affected. left_out: how many, by reason. last_id: the
    newest reader it looked at.
    """

    action: str
    affected: int
    sample: Sequence[str]
    left_out: dict[str, int]
    entry: int | None = None
    last_id: int = 0

    def to_dict(self, *, dry_run: bool) -> dict[str, Any]:
        shown = asdict(self)
        del shown["last_id"]
        return {"dry_run": dry_run, **shown}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readers an operator means; all that is given must hold. rule: a segment's language."""

    status: SubscriberStatus | None = None
    search: str = ""
    tag: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the audit log, with a page of its readers as they are now.

    erased: how many of them had their data erased since, and with it their place in here.
    """

    id: int
    at: datetime
    by: str
    action: str
    readers: int
    undone_by: int | None
    detail: dict[str, Any]
    touched: list[audit.Touched] = field(default_factory=list)
    erased: int = 0


def add(
    app: App, email: str, name: str, *, consent_text: str, given_on: str, by: str
) -> consent.Added:
    """Adds one reader, stating what the reader agreed to and when."""
    address, now = EmailAddress.parse(email), app.clock()
    with app.session() as session:
        added = consent.add(
            session,
            address,
            clean_name(name),
            consent=consent_text,
            given_on=given_on,
            source="operator",
            fingerprint=app.keyring.of_address(address.key),
            now=now,
        )
        if added is consent.Added.ADDED:
            reader = known(session, email)
            detail = {"subscriber": reader.id}
            audit.record(session, by=by, action=ADD, detail=detail, readers=1, now=now)
        return added


def unsubscribe(app: App, email: str, *, by: str) -> consent.Unsubscription:
    """Takes one reader off the list, as an entry that can be undone. Raises NotFoundError."""
    with app.session() as session:
        choice = bulk.Choice(ids=(known(session, email).id or 0,))
        act = bulk.act_of(BulkAction.UNSUBSCRIBE)
        entry, _account = bulk.perform(session, act, choice, by=by, now=app.clock())
        left = consent.Unsubscription
        return left.ALREADY if entry is None else left.UNSUBSCRIBED


def tag(
    app: App, emails: Sequence[str], *, add: Sequence[str], remove: Sequence[str], by: str
) -> list[Outcome]:
    """Puts tags on readers and takes others off, all or nothing: one entry a tag.

    Raises NotFoundError for an address that is not on the list.
    """
    acts = [bulk.act_of(BulkAction.TAG, one) for one in add]
    acts += [bulk.act_of(BulkAction.UNTAG, one) for one in remove]
    with app.session() as session:
        choice = bulk.Choice(ids=tuple(known(session, email).id or 0 for email in emails))
        now = app.clock()
        return [
            _outcome(act.named, *bulk.perform(session, act, choice, by=by, now=now)) for act in acts
        ]


def count_tags(app: App) -> dict[str, int]:
    """Every tag with how many readers have it."""
    with app.session(readonly=True) as session:
        return tags.count_tags(session)


def preview(app: App, act: bulk.Act, wanted: Wanted) -> Outcome:
    """What `perform` would do at this moment."""
    with app.session(readonly=True) as session:
        return _outcome(act.named, None, bulk.preview(session, act, _choice(app, wanted)))


def perform(
    app: App, act: bulk.Act, wanted: Wanted, *, by: str, up_to_id: int | None = None
) -> Outcome:
    """Does it in one transaction. up_to_id: the `last_id` of the preview somebody agreed to."""
    with app.session() as session:
        done = bulk.perform(
            session, act, _choice(app, wanted), by=by, now=app.clock(), up_to_id=up_to_id
        )
        return _outcome(act.named, *done)


def preview_undo(app: App, entry_id: int) -> Outcome:
    """What `take_back` would do at this moment. Raises AudienceError as `subscribers.undo`."""
    with app.session(readonly=True) as session:
        named = undo.undoable(session, entry_id).act.named
        return _outcome(f"undo of {named}", None, undo.preview_undo(session, entry_id))


def take_back(app: App, entry_id: int, *, by: str) -> Outcome:
    """Undoes an entry for those whom nothing has changed since. Raises AudienceError."""
    with app.session() as session:
        named = undo.undoable(session, entry_id).act.named
        done = undo.undo(session, entry_id, by=by, now=app.clock())
        return _outcome(f"undo of {named}", *done)


def suppress(app: App, email: str, *, because: str, by: str) -> bool:
    """Forbids mail to an address, on the list or not; True where that is news."""
    key, now = EmailAddress.parse(email).key, app.clock()
    with app.session() as session:
        news = suppression.suppress(
            session, key, SuppressionReason.MANUAL, detail=because.strip(), now=now
        )
        if news:
            _log_of_address(app, session, key, SUPPRESS_ADDRESS, by=by)
        return news


def lift_suppression(app: App, email: str, *, because: str, by: str) -> bool:
    """False where none stands. Raises AudienceError for a complaint, and without a reason."""
    key = EmailAddress.parse(email).key
    with app.session() as session:
        lifted = suppression.lift(session, key, because=because, now=app.clock())
        if lifted:
            _log_of_address(app, session, key, LIFT, by=by)
        return lifted


def readers(app: App, wanted: Wanted, *, after_id: int = 0) -> Iterator[bulk.Listed]:
    """Readers above `after_id`, by id, read in pages as they are taken."""
    with app.session(readonly=True) as session:
        yield from bulk.chosen(session, _choice(app, wanted), after_id=after_id)


def audit_entries(
    app: App, *, by: str = "", action: str = "", since: datetime | None = None, limit: int
) -> list[Entry]:
    """The newest entries of the audit log."""
    with app.session(readonly=True) as session:
        found = audit.entries(session, by=by, action=action, since=since, limit=limit)
        return [_entry(one) for one in found]


def audit_entry(app: App, entry_id: int, *, after_id: int = 0, limit: int) -> Entry:
    """One entry with a page of its readers. Raises AudienceError where there is none."""
    with app.session(readonly=True) as session:
        found = audit.entry(session, entry_id)
        is_kept = found.action in (*BulkAction, undo.UNDO)
        erased = found.readers - audit.count_touched(session, entry_id) if is_kept else 0
        touched = audit.touched(session, entry_id, after_id=after_id, limit=limit)
        return replace(_entry(found), touched=touched, erased=erased)


def known(session: Session, email: str) -> Subscriber:
    """The reader of this address, however it is typed. Raises NotFoundError, AddressError."""
    address = EmailAddress.parse(email)
    reader = consent.find(session, address)
    if reader is None:
        raise NotFoundError(
            f"{address.given} is not on the list", hint="see `newsletter subscribers list`"
        )
    return reader


def _choice(app: App, wanted: Wanted) -> bulk.Choice:
    """Raises SegmentError, which points at the word, for a rule that cannot be read."""
    chosen = bulk.Choice(
        status=wanted.status, search=wanted.search, tag=wanted.tag, find=search.find
    )
    if not wanted.rule:
        return chosen
    rule = segments.parse(wanted.rule)
    domains = app.disposable_domains()
    meant = segments.compiled(rule, now=app.clock(), disposable_domains=domains)
    return replace(chosen, rule=str(rule), condition=meant.statement(""))


def _outcome(action: str, entry: int | None, account: bulk.Account) -> Outcome:
    return Outcome(
        action=action,
        affected=account.affected,
        sample=tuple(account.sample),
        left_out=dict(account.left_out.most_common()),
        entry=entry,
        last_id=account.last_id,
    )


def _log_of_address(app: App, session: Session, key: str, action: str, *, by: str) -> None:
    """A suppression is of an address, which may be nobody's: the entry says whose, by id."""
    id_ = session.exec(select(Subscriber.id).where(Subscriber.address_key == key)).first()
    readers = 0 if id_ is None else 1
    audit.record(
        session, by=by, action=action, detail={"subscriber": id_}, readers=readers, now=app.clock()
    )


def _entry(found: AuditEntry) -> Entry:
    return Entry(
        id=audit.id_of(found),
        at=found.at,
        by=found.by,
        action=found.action,
        readers=found.readers,
        undone_by=found.undone_by,
        detail=found.detail,
    )
