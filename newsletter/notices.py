"""What editors are told: approval is due, a slot passed, a week is thin, a send had to stop.

And operators: an endpoint of theirs was switched off, or took no message for days. Each once, by
mail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parseaddr

from sqlmodel import Session

from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import IssueDetails
from newsletter.plurals import counted
from newsletter.weeks import IssueWeek


def approval_due(app: App, session: Session, issue: IssueDetails) -> None:
    _tell(app, session, "approval_due", issue.week, _issue_facts(app, issue))


def approval_overdue(app: App, session: Session, issue: IssueDetails, *, why: str) -> None:
    facts = _issue_facts(app, issue) | {"why": why}
    _tell(app, session, "approval_overdue", issue.week, facts)


def slot_missed(
    app: App, session: Session, week: str, slot_at: datetime, *, why: str, command: str
) -> None:
    facts = {"week": week, "slot": in_words(app, slot_at), "why": why, "command": command}
    _tell(app, session, "slot_missed", week, facts)


def thin_week(app: App, session: Session, week: IssueWeek, slot_at: datetime) -> None:
    facts = {"week": str(week), "slot": in_words(app, slot_at)}
    _tell(app, session, "thin_week", str(week), facts)


def send_paused(app: App, session: Session, issue: IssueDetails, *, why: str) -> None:
    """Each time anew: it may be let go on, and be refused again."""
    known = _issue_facts(app, issue)
    facts = {name: known[name] for name in ("week", "subject", "preview_url")}
    facts |= {"why": why, "command": f"newsletter issue resume {issue.ref}"}
    _tell(app, session, "send_paused", f"{issue.ref}:{app.clock().isoformat()}", facts)


def endpoint_gone(
    app: App, session: Session, endpoint_id: int, host: str, *, why: str, dropped: int
) -> None:
    """host: of its address; the rest of that may be a secret. dropped: messages that waited."""
    facts = _endpoint_facts(endpoint_id, host) | {
        "why": why,
        "dropped": counted(dropped, "message") if dropped else "none",
        "again": "newsletter webhooks add",
        "all": "newsletter webhooks list --all",
    }
    _tell_operators(app, session, "webhook_gone", str(endpoint_id), facts)


def messages_given_up(
    app: App,
    session: Session,
    endpoint_id: int,
    host: str,
    *,
    many: int,
    answer: str,
    failing_since: datetime,
    alone_since: datetime | None,
) -> None:
    """many: of its messages, in all. answer: to the last call.

    failing_since: it takes nothing. alone_since: when the message that was given up was written,
    where the endpoint took others meanwhile.

    Once for all that is given up behind an endpoint that fails, and once a day for single messages
    of one that takes others.
    """
    facts = _endpoint_facts(endpoint_id, host) | {
        "many": counted(many, "message"),
        "answer": answer,
        "tried": "One message tried in vain since" if alone_since else "Calls fail since",
        "since": in_words(app, alone_since or failing_since),
        "again": f"newsletter webhooks retry --failed-of {endpoint_id}",
    }
    about = f"{endpoint_id}:{failing_since.date()}"
    _tell_operators(app, session, "webhook_given_up", about, facts)


def operators(app: App) -> list[str]:
    """The operators' addresses; the editors' where there are none."""
    return _addresses(app.settings.operators or app.settings.editors)


def in_words(app: App, instant: datetime) -> str:
    """An instant on the publication's calendar: `Tuesday 24 November 2026, 09:00 (UTC)`."""
    local = instant.astimezone(app.slot.zone)
    return f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({app.slot.zone.key})"


def _issue_facts(app: App, issue: IssueDetails) -> dict[str, str]:
    return {
        "week": issue.ref,
        "slot": in_words(app, issue.slot_at),
        "subject": issue.subject,
        "preview_url": f"{app.publication.url}/studio/issues/{issue.slug}",
        "findings": _counted(issue),
        "command": f"newsletter issue approve {issue.ref}",
    }


def _counted(issue: IssueDetails) -> str:
    if not issue.findings:
        return "no findings"
    return f"{issue.error_count} error(s), {issue.warning_count} warning(s)"


def _endpoint_facts(endpoint_id: int, host: str) -> dict[str, str]:
    log = f"newsletter webhooks log --endpoint {endpoint_id}"
    return {"endpoint": str(endpoint_id), "host": host, "log": log}


def _addresses(people: Iterable[str]) -> list[str]:
    """Each once: a setting may have a name before it."""
    return list(dict.fromkeys(parseaddr(one)[1] for one in people))


def _tell_operators(
    app: App, session: Session, kind: str, about: str, facts: Mapping[str, str]
) -> None:
    for address in operators(app):
        once = f"{kind}:{about}:{app.keyring.fingerprint(address)}"
        system_mail.queue(session, kind, once=once, address=address, facts=facts, now=app.clock())


def _tell(app: App, session: Session, kind: str, about: str, facts: Mapping[str, str]) -> None:
    for editor in app.settings.editors:
        system_mail.queue(
            session,
            kind,
            once=f"{kind}:{about}:{app.keyring.fingerprint(editor)}",
            address=parseaddr(editor)[1],  # a setting may have a name before it
            facts=facts,
            now=app.clock(),
        )
