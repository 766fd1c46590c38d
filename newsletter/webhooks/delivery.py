"""A round of calls: what happened is taken in, what is due is brought, endpoint beside endpoint.

Each endpoint is a lane: its messages go one after the other, so one that hangs holds up its own
alone. No transaction is open during a call. Two rounds may run at once, in two processes.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Final

import httpx2
from sqlmodel import Session

from newsletter import notices
from newsletter.app import App
from newsletter.errors import NotFoundError
from newsletter.providers.standard_webhooks import read_secret, sign
from newsletter.store.feedback import WebhookEndpoint, WebhookMessage
from newsletter.webhooks import calls, endpoints, facts, messages, old_secrets, patience, schedule
from newsletter.webhooks.calls import Answer
from newsletter.webhooks.kinds import Kind, subscriber_of, with_address
from newsletter.webhooks.messages import Claim, MessageState
from subscribers.models import Subscriber, SubscriberStatus

MOST_A_LANE: Final = 1_000  # calls of one endpoint in a round
MOST_S: Final = 20.0  # after which a round begins no further call
IN_A_ROW: Final = 5  # messages not taken, after which a lane ends

GONE: Final = "it answered 410 Gone"


@dataclass
class Round:
    """What one round did. chance: from 0 to below 1, for the spread of waits."""

    app: App
    should_stop: Callable[[], bool]
    chance: Callable[[], float]
    timeout_s: float = calls.TIMEOUT_S
    counts: Counter[MessageState] = field(default_factory=Counter)
    gone: list[int] = field(default_factory=list)
    until: float = field(default_factory=lambda: monotonic() + MOST_S)

    async def run(self, endpoint_ids: list[int]) -> None:
        """Every lane to its end; then the first error of one, if there was any."""
        # Names are looked up in these threads as well: one that does not resolve takes none away.
        threads = ThreadPoolExecutor(2 * endpoints.MOST, thread_name_prefix="webhooks")
        asyncio.get_running_loop().set_default_executor(threads)
        async with calls.client(timeout_s=self.timeout_s) as web:
            lanes = [self._lane(web, endpoint_id) for endpoint_id in endpoint_ids]
            ends = await asyncio.gather(*lanes, return_exceptions=True)
        for error in ends:
            if error is not None:
                raise error

    async def _lane(self, web: httpx2.AsyncClient, endpoint_id: int) -> None:
        not_taken = 0
        for _ in range(MOST_A_LANE):
            if self.should_stop() or monotonic() > self.until or not_taken == IN_A_ROW:
                return
            # In threads: a database that is busy must not stop the clock of the other lanes' calls.
            claimed = await asyncio.to_thread(self._claim, endpoint_id)
            if claimed is None:
                return
            answer = await self.call(web, claimed)
            await asyncio.to_thread(self.settle, claimed, answer)
            not_taken = 0 if answer.is_taken else not_taken + 1
            if answer.is_of_all or answer.status == calls.GONE:
                return

    async def call(self, web: httpx2.AsyncClient, claimed: Claim) -> Answer:
        told = claimed.body.encode()
        keys, at = map(read_secret, claimed.secrets), self.app.clock()
        headers = sign(*keys, message_id=claimed.wire_id, at=at, body=told)
        return await calls.call(web, claimed.url, headers, told, timeout_s=self.timeout_s)

    def _claim(self, endpoint_id: int) -> Claim | None:
        with self.app.session() as session:
            claimed = messages.claim(session, endpoint_id, now=self.app.clock())
            return claimed and addressed(session, claimed)

    def settle(self, claimed: Claim, answer: Answer) -> None:
        """Writes down the call and what becomes of its message, and of its endpoint."""
        now = self.app.clock()
        with self.app.session() as session:
            messages.note_attempt(
                session,
                claimed,
                status=answer.status,
                trouble=answer.trouble,
                took_ms=answer.took_ms,
                now=now,
            )
            state, wait = self._verdict(claimed, answer)
            due_at = None if wait is None else now + wait
            is_ours = messages.settle(session, claimed, state, due_at=due_at, now=now)
            self.counts[state] += is_ours
            patience.note(session, claimed.endpoint_id, answer, now=now)
            is_news = is_ours and claimed.kind != Kind.TEST  # of a trial its operator sees it
            if answer.status == calls.GONE:
                self._switch_off(session, claimed, dropped=int(is_news))
                return
            old = self._give_up_old(session, claimed) if answer.is_of_all else 0
            if old or (is_news and state is MessageState.FAILED):
                self._say_given_up(session, claimed, answer, is_of_all=old > 0)

    def _give_up_old(self, session: Session, claimed: Claim) -> int:
        now = self.app.clock()
        before = now - schedule.GIVE_UP_AFTER
        old = messages.give_up_old(session, claimed.endpoint_id, before=before, now=now)
        self.counts[MessageState.FAILED] += old
        return old

    def _verdict(self, claimed: Claim, answer: Answer) -> tuple[MessageState, timedelta | None]:
        """What becomes of a message, and how long it waits where it stays planned."""
        if answer.is_taken:
            return MessageState.DELIVERED, None
        if answer.status == calls.GONE:
            return MessageState.DROPPED, None
        wait = schedule.wait_after(claimed.attempts, chance=self.chance(), asked=answer.asked)
        if wait is None or claimed.kind == Kind.TEST:
            return MessageState.FAILED, None
        return MessageState.PLANNED, wait

    def _switch_off(self, session: Session, claimed: Claim, *, dropped: int) -> None:
        """dropped: beside what else waits; operators hear of it by mail."""
        number, by, now = claimed.endpoint_id, endpoints.BY_ITSELF, self.app.clock()
        try:
            gone = endpoints.remove(session, number, because=GONE, by=by, now=now)
        except NotFoundError:  # removed between the call and its answer
            return
        self.gone.append(number)
        host, lost = endpoints.host_of(gone.url), gone.waiting + dropped
        notices.endpoint_gone(self.app, session, number, host, why=GONE, dropped=lost)

    def _say_given_up(
        self, session: Session, claimed: Claim, answer: Answer, *, is_of_all: bool
    ) -> None:
        """By mail to operators; in the words of the last call, which hold nothing of its answer.

        is_of_all: whether more is given up than the message that was in hand.
        """
        number = claimed.endpoint_id
        row = session.get_one(WebhookEndpoint, number, populate_existing=True)
        failing_since = row.failing_since or self.app.clock()
        first = messages.first_called_at(session, claimed.id)
        takes_others = not is_of_all and first is not None and first < failing_since
        written_at = session.get_one(WebhookMessage, claimed.id).created_at
        notices.messages_given_up(
            self.app,
            session,
            number,
            endpoints.host_of(row.url),
            many=messages.counted(session).get(number, {}).get("failed", 0),
            answer=answer.trouble,
            failing_since=failing_since,
            alone_since=written_at if takes_others else None,
        )


def addressed(session: Session, claimed: Claim) -> Claim:
    """The claim, with the reader's address in its body where the endpoint is told it.

    Looked up for this one call: nobody's address waits in a queue, or outlives their erasure there.
    """
    reader_id = subscriber_of(claimed.body) if claimed.sends_addresses else None
    reader = session.get(Subscriber, reader_id) if reader_id else None
    if reader is None or reader.status == SubscriberStatus.ERASED:
        return claimed
    return claimed._replace(body=with_address(claimed.body, reader.address))


def deliver(
    app: App,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    chance: Callable[[], float] = random.random,
    timeout_s: float = calls.TIMEOUT_S,
) -> Iterator[str]:
    """A part of the tick: tells every endpoint what it is due, and says how many it told.

    It ends within a minute, whatever endpoints do; most of that is a name server's to take. Not to
    be called from a running event loop.
    """
    now = app.clock()
    with app.session(readonly=True) as session:
        if not endpoints.is_anybody(session):
            return
    with app.session() as session:
        old_secrets.forget_ended(session, now=now)
        facts.take_in(session, now=now)
        due = messages.due_endpoints(session, now=now)
    if not due:
        return
    turn = Round(app, should_stop, chance, timeout_s)
    try:
        asyncio.run(turn.run(due))
    finally:
        yield from _said(turn)


def try_now(app: App, endpoint_id: int, *, timeout_s: float = calls.TIMEOUT_S) -> Answer:
    """Calls an endpoint with a message that says nothing, once, and puts it on record.

    Raises NotFoundError for an endpoint there is not.
    """
    now = app.clock()
    with app.session() as session:
        endpoints.standing(session, endpoint_id)
        claimed = messages.write_test(session, endpoint_id, now=now)
    turn = Round(app, lambda: False, random.random, timeout_s)

    async def once() -> Answer:
        async with calls.client(timeout_s=timeout_s) as web:
            return await turn.call(web, claimed)

    answer = asyncio.run(once())
    turn.settle(claimed, answer)
    return answer


def _said(turn: Round) -> Iterator[str]:
    counts = turn.counts
    if counts[MessageState.DELIVERED]:
        yield f"webhooks delivered: {counts[MessageState.DELIVERED]}"
    if counts[MessageState.PLANNED]:
        yield f"webhooks not taken, to be tried again: {counts[MessageState.PLANNED]}"
    if counts[MessageState.FAILED]:
        yield (
            f"webhooks given up: {counts[MessageState.FAILED]}; "
            "`newsletter webhooks log --failed` names them"
        )
    for endpoint_id in turn.gone:
        yield f"webhook endpoint {endpoint_id} is switched off: {GONE}"
