"""An operator's hand on an issue that is going out: pause, resume, cancel, settle."""

from __future__ import annotations

from collections.abc import Sequence

from newsletter.app import App
from newsletter.delivery import ledger
from newsletter.editorial import approvals, issues, planning
from newsletter.editorial.issues import IssueDetails
from newsletter.errors import NotFoundError
from newsletter.providers.base import Evidence
from newsletter.store.states import IssueState
from subscribers.address import EmailAddress


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
    evidence = Evidence.TAKEN if taken else Evidence.NOT_TAKEN
    with app.session() as session:
        issue = issues.find(session, ref)
        chosen = _chosen(ledger.uncertain(session, issue.id), addresses)
        settled = ledger.settle(session, issue.id, dict.fromkeys(chosen, evidence), app.clock())
        if dry_run:
            session.rollback()
        return settled


def _chosen(waiting: Sequence[ledger.Held], addresses: Sequence[str]) -> list[int]:
    if not addresses:
        return [one.subscriber_id for one in waiting]
    by_key = {EmailAddress.parse(one.address).key: one.subscriber_id for one in waiting}
    keys = [EmailAddress.parse(address).key for address in addresses]
    unknown = [address for address, key in zip(addresses, keys, strict=True) if key not in by_key]
    if unknown:
        raise NotFoundError(
            f"nothing is uncertain for {', '.join(unknown)}",
            hint="see `newsletter issue settle ISSUE` for what is",
        )
    return [by_key[key] for key in keys]
