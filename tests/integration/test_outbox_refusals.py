"""One message that cannot be made is one reader's failure, whatever the provider."""

from __future__ import annotations

from pathlib import Path

import postroom
from postroom import deliver, mailing, prove, states
from sqlalchemy import Engine

from newsletter.errors import RefusedError
from newsletter.providers.base import Envelope
from newsletter.providers.outbox import Outbox


def test_the_outbox_fails_whose_message_cannot_be_made_and_nobody_else(
    database: Engine, tmp_path: Path
) -> None:
    def make(envelope: Envelope) -> bytes:
        if envelope.key == 2:
            raise RefusedError("a value is missing", hint="give one")
        return postroom.splice(envelope)

    issue = postroom.frozen_issue(database, 3)
    done = deliver(database, issue, Outbox(tmp_path / "outbox"), mailing=mailing(make))
    assert (done.submitted, done.failed, done.uncertain) == (2, 1, 0)
    assert states(database, issue)[2] == "failed"
    assert prove(database, issue).holds
