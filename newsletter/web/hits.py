"""What a reader's mail asks for: the pixel, and links by number. Never an address from outside.

Plain ASGI in front of the application: a token is verified, the hit written to the log
(`tracking.hitlog`), and only then answered. The database is not asked, but for links that are not
in the issue's file; the importer (`newsletter.hits`) makes events of what the log holds.

What cannot be written: a reader is led on all the same, and the hit is lost. A pixel is answered
503 with the picture as its body, which mail programs show and proxies do not keep: to whoever
loads it again, it counts. Both are logged, and counted for /metrics.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from time import monotonic

import structlog
from anyio import to_thread
from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException
from starlette.types import Message, Scope, Send

from newsletter.app import App
from newsletter.doors import IPNetwork, visitor_ip
from newsletter.errors import StoreError, TokenError
from newsletter.tokens import DeliveryToken
from newsletter.tracking.events import EventKind
from newsletter.tracking.hitlog import Hit, HitLog, line_of
from newsletter.tracking.links import MAX_STORED_ID, filed_link, read_link
from newsletter.web.guard import HEADERS, PAGE_POLICY
from newsletter.web.public import READ
from subscribers.consent import truncate_network

# The smallest transparent GIF89a that every mail program shows.
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
MAX_KNOWN_CHARACTERS = 200  # of a forwarding header that is remembered
TELL_EVERY_S = 60  # of losses: a full disk must not be filled with what it is said by

_PIXEL_AT, _LINK_AT, _ENDING = "/o/", "/c/", ".gif"
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_log = structlog.get_logger(__name__)

router = APIRouter()


@router.api_route("/o/{token}.gif", methods=READ)
@router.api_route("/c/{token}/{n}", methods=READ)
def nothing() -> Response:
    """What `Hits` does not answer comes here: a link we never made. Other methods: 405."""
    raise HTTPException(404)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_ALWAYS = {**HEADERS, "Content-Security-Policy": PAGE_POLICY}
_PICTURE = _encoded({**_ALWAYS, "Content-Type": "image/gif", "Content-Length": str(len(PIXEL))})
_LED_ON = _encoded({**_ALWAYS, "Content-Length": "0"})
_SHOWN: Message = {"type": "http.response.start", "status": 200, "headers": _PICTURE}
_NOT_KEPT: Message = {"type": "http.response.start", "status": 503, "headers": _PICTURE}
_BODY: Message = {"type": "http.response.body", "body": PIXEL}
_NO_BODY: Message = {"type": "http.response.body", "body": b""}


class Tally:
    """Hits of this process since it started: those written down, and those that could not be."""

    def __init__(self) -> None:
        self.kept: Counter[EventKind] = Counter()
        self.lost: Counter[EventKind] = Counter()
        self._told_at = -TELL_EVERY_S * 1.0

    def lose(self, kind: EventKind, issue_id: int, error: StoreError) -> None:
        """Counts a loss, and logs it unless one was logged within a minute."""
        self.lost[kind] += 1
        now = monotonic()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            lost = self.lost.total()
            _log.error("hit_lost", kind=kind.value, issue=issue_id, lost=lost, what=error.what)


class Hits:
    """Answers the pixel and the links, before anything else looks at a request."""

    def __init__(self, app: App) -> None:
        self.tally = Tally()
        self._app = app
        self._home = app.home
        self._read = app.keyring.read_delivery
        self._log = HitLog(app.home)

    def close(self) -> None:
        """Lets go of the log, once the disk keeps it."""
        self._log.close()

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Whether it was for us, and is answered."""
        if scope["type"] != "http" or scope["method"] not in READ:
            return False
        path: str = scope["path"]
        if path.startswith(_PIXEL_AT) and path.endswith(_ENDING):
            token = path[len(_PIXEL_AT) : -len(_ENDING)]
            if token and "/" not in token:
                await self._show(scope, send, token)
                return True
        elif path.startswith(_LINK_AT):
            token, _, n = path[len(_LINK_AT) :].partition("/")
            return await self._lead_on(scope, send, token, n)
        return False

    async def _show(self, scope: Scope, send: Send, token: str) -> None:
        """Always the picture; a bad token is nobody's, and leaves no trace."""
        try:
            delivery = self._read(token)
        except TokenError:
            is_kept = True
        else:
            is_kept = self._keep(scope, EventKind.IMAGE_LOAD, delivery, None)
        await send(_SHOWN if is_kept else _NOT_KEPT)
        await send(_BODY if scope["method"] == "GET" else _NO_BODY)

    async def _lead_on(self, scope: Scope, send: Send, token: str, n: str) -> bool:
        """To the stored link, also while the database is down; False for one we never made."""
        if not _NUMBER.fullmatch(n):
            return False
        try:
            delivery = self._read(token)
        except TokenError:
            return False
        link = int(n)
        url = filed_link(self._home, delivery.issue_id, link)
        if url is None:
            url = await to_thread.run_sync(self._stored_link, delivery.issue_id, link)
        if url is None:
            return False
        self._keep(scope, EventKind.CLICK, delivery, link)
        headers = [*_LED_ON, (b"location", _as_header(url))]
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send(_NO_BODY)
        return True

    def _stored_link(self, issue_id: int, n: int) -> str | None:
        with self._app.session(readonly=True) as session:
            return read_link(self._home, session, issue_id, n)

    def _keep(
        self, scope: Scope, kind: EventKind, delivery: DeliveryToken, link: int | None
    ) -> bool:
        """Writes the hit down; False where that failed. The public copy's readers are nobody."""
        if not 0 < delivery.subscriber_id <= MAX_STORED_ID:
            return True
        agent, network = self._visitor(scope)
        hit = Hit(
            kind,
            delivery.issue_id,
            delivery.subscriber_id,
            link,
            self._app.clock(),
            scope["method"],
            agent,
            network,
        )
        try:
            self._log.append(line_of(hit))
        except StoreError as error:
            self.tally.lose(kind, delivery.issue_id, error)
            return False
        self.tally.kept[kind] += 1
        return True

    def _visitor(self, scope: Scope) -> tuple[str, str]:
        """Agent and network of whoever asked."""
        agent: bytes | None = None
        forwarded: tuple[str, ...] = ()
        trusted = self._app.settings.trusted_proxies
        for name, value in scope["headers"]:
            if name == b"user-agent" and agent is None:
                agent = value
            elif trusted and name == b"x-forwarded-for":
                forwarded += (value.decode("latin-1"),)
        client = scope.get("client")
        # What strangers make long is not worth the memory.
        is_short = sum(map(len, forwarded)) <= MAX_KNOWN_CHARACTERS
        find = _known_network_of if is_short else _network_of
        network = find(client[0] if client else "", forwarded, trusted)
        return (agent or b"").decode("latin-1"), network


def _network_of(peer: str, forwarded: tuple[str, ...], trusted: tuple[IPNetwork, ...]) -> str:
    return truncate_network(visitor_ip(peer, forwarded, trusted))


_known_network_of = lru_cache(maxsize=16_384)(_network_of)


@lru_cache(maxsize=4_096)
def _as_header(url: str) -> bytes:
    """The stored address as a header holds it: what is not ASCII, percent-encoded as UTF-8."""
    whole = "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in url)
    return whole.encode("ascii")
