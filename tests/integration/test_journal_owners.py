"""What a journal may be trusted with, and what an interrupted claim leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import postroom
import pytest
from postroom import Scripted, deliver, journals, prove, states, taken
from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.delivery.journal import Journal
from newsletter.delivery.owner import Owner
from newsletter.errors import StoreError

ME = Owner.current()
DEAD = replace(ME, pid=2**22 + 1, start=1)  # beyond the largest process id: nobody's
DEAD_TOO = replace(DEAD, pid=2**22 + 2)


def test_a_journal_of_another_owner_than_the_batch_had_proves_nothing(database: Engine) -> None:
    """Two homes on one database: ours holds what a claim left that was never committed."""
    issue = postroom.frozen_issue(database, 3)
    left = postroom.claimed(database, issue, owner=DEAD)  # its journal is in the other home
    Journal.begin(journals(database), replace(left, owner=str(DEAD_TOO))).close()
    provider = Scripted(lambda _, e: taken(e))
    deliver(database, issue, provider)
    assert provider.calls == [], "the dead owner may have sent all of them"
    assert set(states(database, issue).values()) == {"uncertain"}


def test_an_earlier_journal_of_another_owner_proves_nothing_either(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 3)
    first = postroom.claimed(database, issue, owner=DEAD)
    Journal.begin(journals(database), replace(first, owner=str(DEAD_TOO))).close()
    second = postroom.claimed(database, issue, owner=replace(DEAD, pid=DEAD.pid + 3))
    Journal.begin(journals(database), second).close()
    provider = Scripted(lambda _, e: taken(e))
    deliver(database, issue, provider)
    assert provider.calls == []
    assert set(states(database, issue).values()) == {"uncertain"}


def test_interrupted_as_the_claim_was_committed_nothing_is_in_doubt(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that arrives while the disk is waited for is raised right after the commit."""
    issue = postroom.frozen_issue(database, 3)
    commit, begin = Session.commit, Journal.begin
    begun: list[object] = []

    def noted(*given: Any) -> Journal:
        begun.append(1)
        return begin(*given)

    def interrupted(session: Session) -> None:
        commit(session)
        if begun:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "begin", noted)
        patched.setattr(Session, "commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            deliver(database, issue, Scripted(lambda _, e: taken(e)))
    assert set(states(database, issue).values()) == {"attempting"}
    provider = Scripted(lambda _, e: taken(e))
    assert deliver(database, issue, provider).submitted == 3
    assert prove(database, issue).holds


def test_a_claim_that_could_not_be_committed_leaves_the_next_owners_journal_alone(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = postroom.frozen_issue(database, 3)

    commit = Session.commit
    done: list[int] = []

    def refused(session: Session) -> None:
        if done or not list(journals(database).glob("*.journal")):
            commit(session)
            return
        done.append(1)
        session.rollback()
        # Another sender takes the batch before this one has cleaned up.
        other = postroom.claimed(database, issue, owner=DEAD)
        Journal.begin(journals(database), other).close()
        raise StoreError("disk full", hint="")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "commit", refused)
        with pytest.raises(StoreError):
            deliver(database, issue, Scripted(lambda _, e: taken(e)))
    provider = Scripted(lambda _, e: taken(e))
    assert deliver(database, issue, provider).submitted == 3
