"""A home whose issue went out to four readers, copied for each test; and mails about it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from publication import WEEK, finished, open_home, planned_and_approved, readers, store
from sqlalchemy import text

from newsletter import mailings, pipeline
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.editorial.issues import IssueDetails
from newsletter.inbound import intake
from newsletter.inbound.intake import Taken
from newsletter.providers.base import Envelope
from subscribers.audience import Reader

SETTINGS = {
    "bounces_to": "bounces@verdicts.example.com",
    "unsubscribe_mailto": "leave@verdicts.example.com",
}


def sent_home(home: Path) -> Path:
    """An issue whose four deliveries were submitted."""
    app = open_home(home, **SETTINGS)
    store(app, finished("Left vs Right"))
    readers(app, 4)
    planned_and_approved(app)
    pipeline.freeze(app, issue(app))
    with app.session() as session:
        session.execute(text("UPDATE delivery SET state='submitted', attempts=1"))
        session.execute(text("UPDATE batch SET state='done'"))
    app.engine.dispose()
    return home


def copied(home: Path, to: Path, **settings: Any) -> App:
    return open_home(Path(shutil.copytree(home, to)), **(SETTINGS | settings))


def issue(app: App) -> IssueDetails:
    with app.session(readonly=True) as session:
        return issues.find(session, WEEK)


def envelope(app: App, subscriber_id: int) -> Envelope:
    reader = Reader(subscriber_id, f"reader{subscriber_id}@example.com", "")
    return mailings.envelope_maker(app, issue(app))(reader)


def bounce(
    app: App,
    subscriber_id: int,
    *,
    code: str = "5.1.1",
    said: str = "550 refused",
    to: str | None = None,
    message_id: str = "gone@relay.example",
) -> bytes:
    """A report by the shortest of the rules; to: where it came, by default the token's address."""
    address = envelope(app, subscriber_id).bounce_to if to is None else to
    return f"""\
From: MAILER-DAEMON@mx.example.net
To: <{address}>
Content-Type: multipart/report; boundary=b

--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; reader{subscriber_id}@example.com
Action: failed
Status: {code}
Diagnostic-Code: smtp; {said}

--b
Content-Type: text/rfc822-headers

Message-ID: <{message_id}>

--b--
""".encode()


def complaint(app: App, subscriber_id: int) -> bytes:
    return f"""\
From: abusedesk@example.net
To: abuse@verdicts.example.com
Content-Type: multipart/report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Some/1
Original-Mail-From: <{envelope(app, subscriber_id).bounce_to}>

--b--
""".encode()


def take(app: App, *mails: bytes) -> Taken:
    """The last one's outcome."""
    return [intake.take(app, mail) for mail in mails][-1]


def delivery(app: App, subscriber_id: int) -> tuple[str, str]:
    """The newest delivery's state and reason."""
    found = text(
        "SELECT state, reason FROM delivery WHERE subscriber_id = :id ORDER BY issue_id DESC"
    )
    with app.session(readonly=True) as session:
        row = session.execute(found, {"id": subscriber_id}).first()
        return (row.state, row.reason) if row else ("", "")


def reader(app: App, subscriber_id: int) -> tuple[str, str | None]:
    """The status, and why the address is suppressed."""
    query = text(
        "SELECT s.status, p.reason FROM subscriber s LEFT JOIN suppression p"
        " ON p.address_key = s.address_key AND p.lifted_at IS NULL WHERE s.id = :id"
    )
    with app.session(readonly=True) as session:
        row = session.execute(query, {"id": subscriber_id}).one()
        return row.status, row.reason


def change(app: App, statement: str, **values: Any) -> None:
    with app.session() as session:
        session.execute(text(statement), values)
