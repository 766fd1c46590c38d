"""What the account costs: its share of a send's CPU, a million readers frozen, memory kept flat.

Absolute figures drift with the machine and are printed for orientation; ratios within one run hold.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import publication
import pytest
from forks import in_a_process
from publication import open_home
from smtp_sinks import sink
from sqlalchemy import Engine, text

from newsletter import mailings, pipeline
from newsletter.app import App
from newsletter.delivery import freezing
from newsletter.delivery.owner import on_duty
from newsletter.delivery.rate import Limits, Throttle
from newsletter.delivery.sender import deliver_issue
from newsletter.editorial import issues
from newsletter.providers.base import (
    AttemptLog,
    Content,
    Envelope,
    Evidence,
    Mailing,
    Outcome,
    Receipt,
    Unlogged,
)
from newsletter.store.engine import open_engine, session_on, upgrade
from newsletter.store.models import Issue
from subscribers.audience import Reader

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
READERS, ROUNDS, SHARE_GOAL = 3_000, 3, 0.20
FEW, MANY = 10_000, 1_000_000
FREEZE_GOAL_S, MEMORY_GOAL_MB = 3.0, 150

# As many readers as wanted, one in fifty of whom has left.
_LIST = text(
    """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO subscriber (id, address, address_key, name, status, created_at, confirmed_at,
        confirmations_sent)
    SELECT i, 'reader' || i || '@example.com', 'reader' || i || '@example.com', 'Reader ' || i,
        CASE WHEN i % 50 = 0 THEN 'unsubscribed' ELSE 'active' END, :at, :at, 1 FROM n
    """
)
AT = "2026-01-01 00:00:00.000000"


def test_the_accounts_share_of_a_sends_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real issue by SMTP, beside the provider alone with the same envelopes and no account."""
    shares = []
    with sink(3 * ROUNDS * READERS) as port:
        for n in range(ROUNDS):
            app = sending_home(tmp_path / str(n), port)
            hand_over_bare(app)  # whoever goes first pays for what is made once
            bare = cpu_s(lambda app=app: hand_over_bare(app))  # type: ignore[misc]
            whole = cpu_s(lambda app=app: pipeline.deliver(app, 1))  # type: ignore[misc]
            assert pipeline.prove(app, "1").states["submitted"] == READERS
            shares.append((whole - bare) / whole)
            app.engine.dispose()
    with capsys.disabled():
        print(
            f"\n  ledger, journal and progress take {median(shares):.0%} of a send's CPU by SMTP"
            f" (goal: at most {SHARE_GOAL:.0%}); {whole / READERS * 1e6:.0f} us a message in all"
        )


def sending_home(home: Path, port: int) -> App:
    app = open_home(
        home,
        provider="smtp",
        smtp_url=f"smtp://127.0.0.1:{port}?tls=none",
        from_="news@example.com",
        postal_address="1 Example Street",
        list_id="verdicts.example.com",
    )
    publication.store(app, publication.finished("Left vs Right"))
    publication.planned_and_approved(app)
    with app.session() as session:
        session.execute(_LIST, {"count": READERS * 50 // 49, "at": AT})
    with app.session(readonly=True) as session:
        issue = issues.find(session, "latest")
    pipeline.freeze(app, issue)
    return app


def hand_over_bare(app: App) -> None:
    with app.session(readonly=True) as session:
        issue, stored = issues.details(session, 1), issues.rendered(session, 1)
        rows = session.execute(text("SELECT id, address, name FROM subscriber")).all()
    mailing = mailings.issue_mailing(app, issue, stored)
    envelope_for = mailings.envelope_maker(app, issue)
    provider = app.sending_provider
    for start in range(0, READERS, provider.at_once):
        some = rows[start : min(start + provider.at_once, READERS)]
        envelopes = [envelope_for(Reader(*row)) for row in some]
        taken = [r.outcome for r in provider.submit(mailing, envelopes, Unlogged())]
        assert set(taken) == {Outcome.SUBMITTED}


def cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


class Instant:
    """Takes everything at once, and says so as the real ones do."""

    name = "instant"
    at_once = 250

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        for envelope in envelopes:
            log.attempting([envelope.key])
            yield Receipt(envelope.key, Outcome.SUBMITTED, envelope.message_id)

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> Mapping[int, Evidence]:
        return {}


def test_a_million_readers_are_frozen_and_sent_to_in_little_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks = {}
    for count in (FEW, MANY):
        home = tmp_path / str(count)
        home.mkdir()
        make_list(home / "newsletter.db", count)
        peaks[count], frozen_s = in_a_process(lambda home=home: freeze_and_send(home))  # type: ignore[misc]
        shutil.rmtree(home)
    with capsys.disabled():
        print(
            f"\n  {MANY:,} readers frozen in {frozen_s:.1f} s (goal {FREEZE_GOAL_S:.0f});"
            f" peak memory of freezing and sending: {peaks[MANY]:.0f} MB,"
            f" of {FEW:,}: {peaks[FEW]:.0f} MB (goal: flat, at most {MEMORY_GOAL_MB})"
        )


def make_list(path: Path, count: int) -> None:
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    with session_on(engine) as session:
        session.execute(_LIST, {"count": count, "at": AT})
        session.add(Issue(week="2026-W48", slot_at=NOW, state="sending", planned_at=NOW))
    engine.dispose()


def freeze_and_send(home: Path) -> float:
    """Seconds of the freeze; the send is for its memory."""
    engine = open_engine(f"sqlite:///{home / 'newsletter.db'}")
    started = time.perf_counter()
    with session_on(engine) as session:
        frozen = freezing.freeze(session, issue_id=1, now=NOW)
    frozen_s = time.perf_counter() - started
    assert deliver(engine, home) == frozen.planned
    return frozen_s


def deliver(engine: Engine, home: Path) -> int:
    nothing = Content(
        sender="",
        reply_to="",
        subject="",
        html="",
        text="",
        headers={},
        tokens=lambda envelope: {},
        own_headers=lambda envelope: {},
    )
    with on_duty() as owner:
        done = deliver_issue(
            engine,
            1,
            provider=Instant(),
            mailing=Mailing("2026-W48", lambda envelope: b"", nothing),
            envelope_for=lambda r: Envelope(r.id, r.address, r.name, f"{r.id}@example.com", {}),
            clock=lambda: NOW,
            owner=owner,
            journals=home / "journals",
            throttle=Throttle(engine, Limits(), lambda: NOW),
        )
    return done.submitted
