"""An operator's hand on an issue that is going out: pause, resume, cancel, settle, send again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from newsletter import endings
from newsletter.app import App
from newsletter.delivery import evidence, ledger, pace, resend
from newsletter.delivery.pace import Pace
from newsletter.editorial import approvals, issues, planning
from newsletter.editorial.issues import IssueDetails
from newsletter.errors import NotFoundError, RefusedError
from newsletter.providers.base import Evidence
from newsletter.store.models import Delivery
from newsletter.store.states import IssueState
from subscribers import consent
from subscribers.address import EmailAddress

RESENDABLE = (IssueState.SENDING, IssueState.PAUSED, IssueState.DONE)


@dataclass(frozen=True, slots=True)
class SettledByEvidence:
    """submitted: how many are settled; by: for each kind of event, how many; held: the rest."""

    submitted: int
    by: Mapping[str, int]
    held: int


def pause(app: App, ref: str, *, by: str) -> IssueDetails:
    """Senders finish what is on the wire and claim nothing more, whichever process they run in."""
    with app.session() as session:
        issue = issues.find(session, ref)
        planning.set_state(session, issue.id, IssueState.PAUSED, reason=f"paused by {by.strip()}")
        return issues.details(session, issue.id)


def resume(app: App, ref: str) -> IssueDetails:
    """The next send, by hand or at the next tick, goes on where the ledger says."""
    with app.session() as session:
        issue = issues.find(session, ref)
        planning.set_state(session, issue.id, IssueState.SENDING)
        return issues.details(session, issue.id)


def cancel(app: App, ref: str, *, by: str) -> IssueDetails:
    """Ends the issue: what is out or on the wire stays out, the rest is never sent and says why."""
    now = app.clock()
    with app.session() as session:
        issue = issues.find(session, ref)
        planning.set_state(
            session, issue.id, IssueState.CANCELLED, reason=f"cancelled by {by.strip()}"
        )
        approvals.void(session, issue.id, reason="the issue was cancelled", now=now)
        session.flush()
        ledger.withdraw(session, issue.id, reason=ledger.CANCELLED, now=now)
        return issues.details(session, issue.id)


@dataclass(frozen=True, slots=True)
class Going:
    """How an issue that is being sent goes: over all its senders, wherever they run.

    left: deliveries still to be sent. waiting: of those, the ones put off to a time.
    """

    left: int
    pace: Pace | None
    waiting: ledger.Waiting | None


def going(app: App, issue: IssueDetails) -> Going | None:
    """None for an issue of which nothing goes out now."""
    if issue.state is not IssueState.SENDING:
        return None
    now = app.clock()
    with app.session(readonly=True) as session:
        return Going(
            left=ledger.count_open(session, issue.id),
            pace=pace.current(session, issue.id, now),
            waiting=ledger.waiting(session, issue.id, now),
        )


def held(app: App, ref: str) -> list[ledger.Held]:
    """The issue's uncertain deliveries."""
    with app.session(readonly=True) as session:
        return ledger.uncertain(session, issues.find(session, ref).id)


def settle(
    app: App, ref: str, *, taken: bool, addresses: Sequence[str] = (), dry_run: bool = False
) -> ledger.Settled:
    """An operator's word on uncertain deliveries, all of them or those to `addresses`.

    taken: they arrived, and count as submitted; otherwise they did not, and are planned again.
    Raises NotFoundError for an address that has no uncertain delivery in the issue.
    """
    said = Evidence.TAKEN if taken else Evidence.NOT_TAKEN
    with app.session() as session:
        issue = issues.find(session, ref)
        chosen = _chosen(ledger.uncertain(session, issue.id), addresses)
        settled = ledger.settle(session, issue.id, dict.fromkeys(chosen, said), app.clock())
        endings.end_where_complete(session, issue.id, now=app.clock())
        if dry_run:
            session.rollback()
        return settled


def settle_by_evidence(app: App, ref: str, *, dry_run: bool = False) -> SettledByEvidence:
    """What readers did settles the uncertain: whoever loads, clicks or leaves has the mail."""
    with app.session() as session:
        issue = issues.find(session, ref)
        kinds = Counter(evidence.by_events(session, issue.id).values())
        submitted = evidence.settle_by_events(session, issue.id, app.clock())
        held_still = len(ledger.uncertain(session, issue.id))
        endings.end_where_complete(session, issue.id, now=app.clock())
        if dry_run:
            session.rollback()
        return SettledByEvidence(submitted, dict(kinds), held_still)


def resend_to(
    app: App,
    ref: str,
    *,
    addresses: Sequence[str] = (),
    failed: bool = False,
    again: bool = False,
    by: str,
    dry_run: bool = False,
) -> resend.Resent:
    """Plans deliveries once more, by an operator's word; the next send delivers them.

    addresses: readers who got nothing, or, with again, who get it twice. failed: everybody whose
    delivery failed or bounced. Raises RefusedError for an issue that is not frozen or was
    cancelled, NotFoundError for an address that is none of its candidates.
    """
    now = app.clock()
    with app.session() as session:
        issue = issues.find(session, ref)
        if issue.state not in RESENDABLE:
            raise RefusedError(
                f"issue {issue.ref} is {issue.state}: nothing of it can be sent again",
                hint=f"see `newsletter issue show {issue.ref}`",
            )
        ids = _candidates(session, issue, addresses)
        done = resend.plan_again(session, issue.id, ids, again=again, by=by, now=now)
        if failed:
            done = done.plus(resend.plan_failed_again(session, issue.id, by=by, now=now))
        if done.planned and issue.state is IssueState.DONE:
            planning.set_state(session, issue.id, IssueState.SENDING)
            issues.row(session, issue.id).done_at = None
        if dry_run:
            session.rollback()
        return done


def _candidates(session: Session, issue: IssueDetails, addresses: Sequence[str]) -> list[int]:
    """The subscribers at these addresses. Raises NotFoundError for who is no candidate."""
    found = {address: _candidate(session, issue.id, address) for address in addresses}
    unknown = [address for address, subscriber_id in found.items() if subscriber_id is None]
    if unknown:
        raise NotFoundError(
            f"issue {issue.ref} has no delivery for {', '.join(unknown)}",
            hint=f"see `newsletter issue proof {issue.ref} --csv` for everybody it has one for",
        )
    return sorted({id_ for id_ in found.values() if id_ is not None})


def _candidate(session: Session, issue_id: int, address: str) -> int | None:
    reader = consent.find(session, EmailAddress.parse(address))
    if reader is None or session.get(Delivery, (issue_id, reader.id)) is None:
        return None
    return reader.id


def _chosen(waiting: Sequence[ledger.Held], addresses: Sequence[str]) -> list[int]:
    if not addresses:
        return [one.subscriber_id for one in waiting]
    by_key = {  # the erased have no address any more
        EmailAddress.parse(one.address).key: one.subscriber_id for one in waiting if one.address
    }
    keys = [EmailAddress.parse(address).key for address in addresses]
    unknown = [address for address, key in zip(addresses, keys, strict=True) if key not in by_key]
    if unknown:
        raise NotFoundError(
            f"nothing is uncertain for {', '.join(unknown)}",
            hint="see `newsletter issue settle ISSUE` for what is",
        )
    return [by_key[key] for key in keys]
