"""A rehearsal's own home: the issue as it is, invented readers, a database of its own.

Nothing of the real home enters it but the issue's render and who it says it is from: no keys, no
password, no subscriber.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from sqlmodel import insert

from newsletter import renders
from newsletter.app import App, build_app, limits_of
from newsletter.delivery.freezing import BATCH_SIZE
from newsletter.delivery.rate import Throttle
from newsletter.editorial import issues
from newsletter.providers.base import Provider
from newsletter.providers.sendgrid import SendGrid
from newsletter.providers.smtp import Smtp
from newsletter.providers.smtp_core import WINDOW
from newsletter.rehearsal.readers import rows
from newsletter.rendering.rendered import RenderedIssue
from newsletter.settings import Settings, load_settings
from newsletter.store import models
from newsletter.store.engine import not_waiting_for_the_disk
from newsletter.store.states import IssueState
from subscribers.models import Subscriber

PLAN: Final = "rehearsal.json"
KEY: Final = "SG.rehearsal"
# A stage is on this machine, which may be busy; SMTP waits twice that after a message.
SMTP_SILENCE_S: Final = 2.0
SENDGRID_SILENCE_S: Final = 4.0
LONGEST_PAUSE_S: Final = 0.05  # of those SendGrid asks for: nobody is to wait for a rehearsal
# Where a home that only has an outbox says nothing.
_POSTAL_ADDRESS = "1 Example Street, Sampleton"


@dataclass(frozen=True, slots=True)
class Script:
    """What is rehearsed: an issue's render, and the settings that matter to sending it."""

    week: str
    slot_at: datetime
    rendered: RenderedIssue
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stagecraft:
    """How it is sent. at_once: readers a SendGrid request, or a batch over SMTP."""

    provider: str
    readers: int
    batch_size: int
    at_once: int
    silence_s: float

    @classmethod
    def usual(cls, provider: str, *, readers: int, senders: int) -> Stagecraft:
        """Batches enough for every sender; about a hundred requests, so that each fault is met."""
        shares = 1 if senders == 1 else 4 * senders
        return cls(
            provider=provider,
            readers=readers,
            batch_size=max(1, min(BATCH_SIZE, -(-readers // shares))),
            at_once=max(1, min(BATCH_SIZE, readers // 100)) if provider == "sendgrid" else 250,
            silence_s=SENDGRID_SILENCE_S if provider == "sendgrid" else SMTP_SILENCE_S,
        )


def script_of(app: App, ref: str) -> Script:
    """An issue as it was rendered, or, still open, as it renders now. Reads only.

    Raises NotFoundError.
    """
    with app.session(readonly=True) as session:
        issue = issues.find(session, ref)
        if issue.state in issues.OPEN:
            view = renders.issue_view(app, session, issue.id)
            rendered = app.renderer.issue(view, checked=False)
        else:
            rendered = issues.rendered(session, issue.id).as_rendered()
    return Script(issue.week, issue.slot_at, rendered, carried(app))


def carried(app: App) -> dict[str, Any]:
    """The settings that go along, as JSON: who sends, and the limits on how fast."""
    settings = app.settings.model_dump(mode="python", include=set(_CARRIED))
    return {
        **{name: _plain(value) for name, value in settings.items() if value is not None},
        "from_": app.publication.sender,
        "list_id": app.publication.list_id,
        "postal_address": app.settings.postal_address or _POSTAL_ADDRESS,
    }


_CARRIED: Final = (
    "name",
    "public_url",
    "language",
    "reply_to",
    "unsubscribe_mailto",
    "smtp_connections",
    "rate_per_second",
    "rate_per_hour",
    "rate_per_day",
    "warm_up_from",
    "warm_up",
    "stop_after_errors",
)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | tuple) else str(value)


def furnish(folder: Path, script: Script, craft: Stagecraft) -> None:
    """Makes the home: settings, database, issue, readers."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "settings": dict(script.settings),
        "provider": craft.provider,
        "batch_size": craft.batch_size,
        "at_once": craft.at_once,
        "silence_s": craft.silence_s,
    }
    (folder / PLAN).write_text(json.dumps(plan, indent=2), encoding="utf-8")
    app = build_app(_settings(folder, plan, port=1))
    now = datetime.now(UTC)
    with not_waiting_for_the_disk(app.engine), app.session() as session:
        _add_issue(session, script, now)
        session.execute(insert(Subscriber), rows(craft.readers, now))
    app.engine.dispose()


def _add_issue(session: Any, script: Script, now: datetime) -> None:
    issue = models.Issue(
        week=script.week, slot_at=script.slot_at, state=IssueState.APPROVED, planned_at=now
    )
    session.add(issue)
    session.flush()
    rendered = script.rendered
    stored = models.Rendered(
        issue_id=issues.id_of(issue),
        sha256=rendered.sha256,
        subject=rendered.subject,
        preheader=rendered.preheader,
        html=rendered.html,
        text=rendered.text,
        mjml="",
        links=[{"n": link.n, "url": link.url, "label": link.label} for link in rendered.links],
        findings=[],
        inputs={"templates": {}},
        rendered_at=now,
    )
    session.add(stored)
    session.flush()
    issue.rendered_id = stored.id


def enter(folder: Path, *, port: int, ahead: timedelta = timedelta()) -> App:
    """The application on a furnished home, sending to the stage at `port`.

    ahead: of the real time; so messages deferred for hours go out in seconds.
    """
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    settings = _settings(folder, plan, port=port)
    app = build_app(settings)

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    provider = _provider(settings, plan)
    provider.at_once = min(provider.at_once, plan["at_once"])
    throttle = Throttle(app.engine, limits_of(settings), clock)
    return replace(app, provider=provider, clock=clock, throttle=throttle)


def batch_size(folder: Path) -> int:
    """How many readers a batch of this home holds."""
    return int(json.loads((folder / PLAN).read_text(encoding="utf-8"))["batch_size"])


def the_issue(app: App) -> int:
    """The id of the issue that is rehearsed: the only one."""
    with app.session(readonly=True) as session:
        return issues.find(session, "latest").id


def window(*, chunking: bool) -> int:
    """The most messages unanswered on one SMTP connection."""
    return WINDOW if chunking else 1


def on_the_wire(provider: Provider, *, chunking: bool) -> int:
    """The most messages one sender can have under way, unanswered: a request, or a few a line."""
    if isinstance(provider, Smtp):
        return provider.connections * window(chunking=chunking)
    return provider.at_once


def _settings(folder: Path, plan: Mapping[str, Any], *, port: int) -> Settings:
    where = {
        "smtp_url": SecretStr(f"smtp://127.0.0.1:{port}?tls=none"),
        "sendgrid_url": f"http://127.0.0.1:{port}",
        "sendgrid_api_key": SecretStr(KEY),
    }
    # Every setting is given: neither this shell's nor a newsletter.toml's may slip in.
    fixed = {
        name: field.get_default(call_default_factory=True)
        for name, field in Settings.model_fields.items()
    }
    own = {"home": folder, "provider": plan["provider"], **where}
    return load_settings(**{**fixed, **plan["settings"], **own})


def _provider(settings: Settings, plan: Mapping[str, Any]) -> Provider:
    """The real ones, less patient."""
    silence_s = plan["silence_s"]
    if settings.provider == "sendgrid":
        return SendGrid(KEY, base_url=settings.sendgrid_url, timeout_s=silence_s, sleep=_nap)
    sender = parseaddr(settings.from_)[1]
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    return Smtp.from_url(
        url,
        sender=sender,
        helo=sender.rpartition("@")[2],
        connections=settings.smtp_connections,
        timeout_s=silence_s,
    )


def _nap(wanted_s: float) -> None:
    time.sleep(min(wanted_s, LONGEST_PAUSE_S))
