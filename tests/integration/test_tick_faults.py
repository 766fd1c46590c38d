"""A tick that cannot do one thing: it says so, and does the others."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from publication import MONDAY, SLOT, WEEK, at, finished, open_home, outbox, readers, store

from newsletter import pipeline
from newsletter import readers as desk
from newsletter.editorial import issues
from newsletter.errors import TemplateError
from newsletter.store.states import IssueState
from newsletter.tick import tick
from newsletter.weeks import IssueWeek

DAY = timedelta(days=1)


def test_an_approved_issue_that_cannot_go_out_is_said_and_mailed(tmp_path: Path) -> None:
    """Its comparison went out with a skipped issue that somebody sent by hand after all."""
    app = open_home(tmp_path / "home", editors="ed@example.com")
    store(at(app, MONDAY - DAY), finished("Left vs Right"))
    readers(app, 1)
    pipeline.plan(app, IssueWeek.parse(WEEK))
    pipeline.approve(app, WEEK, by="ed")
    late = at(app, SLOT + 2 * DAY)
    assert "skipped" in " ".join(tick(late))
    pipeline.plan(late, IssueWeek.parse("2026-W49"))
    pipeline.approve(late, "2026-W49", by="ed")
    pipeline.send(late, WEEK)
    done = " ".join(tick(at(app, SLOT + 7 * DAY)))
    assert "2026-W49: due and not sent" in done
    assert "already went out in 2026-W48" in done
    assert any("approval_overdue" in path.name for path in outbox(app, "system"))


def test_what_a_failing_tick_did_is_known(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    (folder / "email" / "thin_week").mkdir(parents=True)
    (folder / "email" / "thin_week" / "body.mjml").write_text("{{ nothing }}")
    app = open_home(tmp_path / "home", templates_dir=folder, editors="ed@example.com")
    done: list[str] = []
    with pytest.raises(TemplateError):
        tick(app, done=done)
    store(app, finished("Left vs Right"))
    desk.sign_up(app, "ann@example.com", source="form", network="192.0.2.0/24")
    with pytest.raises(TemplateError):
        tick(app, done=done)
    assert any("planned with 1 comparison" in sentence for sentence in done)
    assert {path.name.partition(".")[0] for path in outbox(app, "system")} >= {"approval_due"}
    with app.session(readonly=True) as session:
        assert issues.find(session, WEEK).state is IssueState.PLANNED
