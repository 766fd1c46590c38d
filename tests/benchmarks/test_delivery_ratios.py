"""How fast an issue is frozen and sent to the outbox, beside the naive way, in one run.

Absolute figures drift with the machine and are printed for orientation; the ratio is what to watch.
"""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, text
from sqlmodel import Session

from newsletter.delivery import freezing, proof
from newsletter.delivery.owner import Owner
from newsletter.delivery.rate import Limits, Throttle
from newsletter.delivery.sender import deliver_issue
from newsletter.providers.base import Content, Envelope, Mailing
from newsletter.providers.outbox import Outbox
from newsletter.store.engine import open_engine, session_on, upgrade
from newsletter.store.models import Delivery, Issue
from subscribers.audience import Reader
from subscribers.models import Subscriber

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
READERS, NAIVE_READERS, BARE_FILES = 10_000, 200, 2_000
GOAL_PER_S = 3_000
TEXT_HALF = "Ship it, said the panel: four of four.\r\n" * 100
HTML_HALF = '<td style="padding:0 8px">50%</td>\r\n' * 1_000  # about 40 KB in all


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'newsletter.db'}")
    upgrade(engine)
    return engine


CONTENT = Content(
    sender="Verdicts <news@example.com>",
    reply_to="",
    subject="A subject",
    html="<p>Hello</p>",
    text="Hello",
    headers={},
    tokens=lambda envelope: {},
    own_headers=lambda envelope: {},
)


def planned_issue(engine: Engine, week: str, readers: int) -> int:
    """An issue in `sending`, not frozen, with at least that many readers on the list."""
    with session_on(engine) as session:
        known = session.execute(text("SELECT count(*) FROM subscriber")).scalar_one()
        if missing := [subscriber(n) for n in range(known, readers)]:
            session.execute(insert(Subscriber), missing)
        issue = Issue(week=week, slot_at=NOW, state="sending", planned_at=NOW)
        session.add(issue)
        session.flush()
        assert issue.id is not None
        return issue.id


def subscriber(n: int) -> dict[str, object]:
    address = f"reader{n}@example.com"
    return {
        "address": address,
        "address_key": address,
        "name": f"Reader {n}",
        "status": "active",
        "created_at": NOW,
        "confirmed_at": NOW,
        "confirmations_sent": 1,
    }


def envelope_for(reader: Reader) -> Envelope:
    return Envelope(reader.id, reader.address, reader.name, f"w48.{reader.id}@example.com", {})


def splice(envelope: Envelope) -> bytes:
    """As the real one: constant segments and a reader's own values, joined."""
    return b"".join(
        (
            b"Message-ID: <",
            envelope.message_id.encode(),
            b">\r\nTo: ",
            envelope.address.encode(),
            b"\r\n\r\n",
            _TEXT,
            envelope.message_id.encode(),
            _HTML,
        )
    )


_TEXT, _HTML = TEXT_HALF.encode(), HTML_HALF.encode()


def send_naively(engine: Engine, issue_id: int, folder: Path) -> None:
    """An object a reader, a message built a reader, a commit a state."""
    folder.mkdir()
    with Session(engine) as session:
        query = text("SELECT id, address, name FROM subscriber ORDER BY id LIMIT :n")
        readers = [Reader(*row) for row in session.execute(query, {"n": NAIVE_READERS})]
        for reader in readers:
            delivery = Delivery(
                issue_id=issue_id, subscriber_id=reader.id, state="attempting", changed_at=NOW
            )
            session.add(delivery)
            session.commit()
            message = EmailMessage()
            message["To"] = reader.address
            message["Message-ID"] = f"<w48.{reader.id}@example.com>"
            message.set_content(TEXT_HALF)
            message.add_alternative(HTML_HALF, subtype="html")
            (folder / f"w48.{reader.id}@example.com.eml").write_bytes(message.as_bytes())
            delivery.state = "submitted"
            session.commit()


def write_bare_files(folder: Path) -> None:
    """The same bytes with nothing around them: what the file system has to offer at this moment."""
    folder.mkdir()
    for n in range(BARE_FILES):
        (folder / f"{n}.eml").write_bytes(_TEXT + _HTML)


def test_freezing_and_sending_to_the_outbox_beside_the_naive_way(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = planned_issue(engine, "2026-W48", READERS)
    naive = planned_issue(engine, "2026-W49", READERS)

    started = time.perf_counter()
    with session_on(engine) as session:
        freezing.freeze(session, issue_id=ours, now=NOW)
    frozen = time.perf_counter()
    deliver_issue(
        engine,
        ours,
        provider=Outbox(tmp_path / "outbox"),
        mailing=Mailing("2026-W48", splice, CONTENT),
        envelope_for=envelope_for,
        clock=lambda: NOW,
        owner=Owner.current(),
        journals=tmp_path / "journals",
        throttle=Throttle(engine, Limits(), lambda: NOW),
    )
    sent = time.perf_counter()
    send_naively(engine, naive, tmp_path / "naive")
    ended = time.perf_counter()
    write_bare_files(tmp_path / "bare")
    bare = time.perf_counter()

    with session_on(engine, readonly=True) as session:
        found = proof.prove(session, ours)
    files = sum(1 for _ in (tmp_path / "outbox").rglob("*.eml"))
    assert (found.states["submitted"], found.holds, found.complete) == (READERS, True, True)
    assert files == READERS
    ours_per_s, naive_per_s = READERS / (sent - started), NAIVE_READERS / (ended - sent)
    bare_per_s = BARE_FILES / (bare - ended)
    with capsys.disabled():
        print(
            f"\n  freeze and send {READERS:,} messages of {len(_TEXT + _HTML) / 1000:.0f} KB"
            f" to the outbox: {ours_per_s:,.0f} a second (goal {GOAL_PER_S:,};"
            f" freezing {frozen - started:.2f} s of {sent - started:.2f} s)"
            f"\n  naive way, {NAIVE_READERS} readers: {naive_per_s:,.0f} a second;"
            f" ratio {ours_per_s / naive_per_s:.1f}"
            f"\n  bare files, written and not brought to the disk: {bare_per_s:,.0f} a second;"
            f" ratio {ours_per_s / bare_per_s:.2f}"
        )
    # 400 MB. (ext4 makes new files slowly for minutes after many were deleted near them: a second
    # run soon after shows that, in all three figures.)
    shutil.rmtree(tmp_path)
