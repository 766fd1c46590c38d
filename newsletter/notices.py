"""What editors are told: approval is due, a slot passed, a week is thin, a send had to stop."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parseaddr

from sqlmodel import Session

from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import IssueDetails
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
