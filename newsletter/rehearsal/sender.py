"""What one sender process of a rehearsal does: freeze unless it is frozen, then deliver."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from newsletter import pipeline
from newsletter.app import App
from newsletter.delivery import freezing
from newsletter.delivery.watch import Progress
from newsletter.editorial import issues, planning
from newsletter.rehearsal import room

ENDINGS: Final = "endings"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sender that was not killed ended. goes_on_at: RFC 3339, or ""."""

    stopped: str
    goes_on_at: str

    @classmethod
    def read(cls, folder: Path, pid: int) -> Self | None:
        """What the process left; None where it was killed, or failed."""
        path = folder / ENDINGS / f"{pid}.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def write(self, folder: Path) -> None:
        path = folder / ENDINGS / f"{os.getpid()}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def run(folder: str, port: int, ahead_s: float) -> None:
    """A whole life, unless it is killed. ahead_s: of the real time."""
    home = Path(folder)
    app = room.enter(home, port=port, ahead=timedelta(seconds=ahead_s))
    ended = send(app, batch_size=room.batch_size(home))
    goes_on_at: datetime | None = ended.goes_on_at
    Ending(ended.stopped, goes_on_at.isoformat() if goes_on_at else "").write(home)


def send(app: App, *, batch_size: int) -> Progress:
    """What `pipeline.send` does, but for the approval, which a rehearsal does without."""
    issue_id = room.the_issue(app)
    freeze(app, issue_id, batch_size=batch_size)
    return pipeline.deliver(app, issue_id)


def freeze(app: App, issue_id: int, *, batch_size: int) -> None:
    """Audience and state in one transaction, by whichever sender comes first."""
    with app.session() as session:
        if issues.row(session, issue_id).frozen_at is None:
            planning.start_sending(session, issue_id)
            freezing.freeze(session, issue_id=issue_id, now=app.clock(), batch_size=batch_size)
