"""One call of an endpoint: a signed POST, and what came of it.

Each call has a deadline as a whole, for an endpoint that lets its answer drip holds a socket's own
time-outs off for ever. Redirects are answers, not followed: the body would go where nobody added an
endpoint. Of an answer the status is read and one header; its body is thrown away.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final

import httpx2

from newsletter import __version__

TIMEOUT_S: Final = 10.0
MAX_CONNECTIONS: Final = 20
MAX_DISCARDED_BYTES: Final = 65_536  # of a body, so that the connection can be used again
MAX_TROUBLE_CHARACTERS: Final = 200
GONE: Final = 410
BUSY: Final = frozenset({429, 502, 503, 504})  # the endpoint as a whole has enough

# It logs each call with the whole address, and some endpoints carry a key in theirs.
logging.getLogger("httpx2").setLevel(logging.WARNING)

_ON_THE_WAY = (httpx2.TimeoutException, httpx2.NetworkError, OSError)
_AGENT = f"newsletter/{__version__} (webhooks)"
# An endpoint on this machine is called from here, whatever proxy leads out of it.
_HERE = ("all://127.0.0.1", "all://localhost", "all://[::1]")


@dataclass(frozen=True, slots=True)
class Answer:
    """status: of HTTP; None without an answer. asked: the wait that Retry-After asks for.

    trouble: what went wrong, in our words or our own machine's, cut to MAX_TROUBLE_CHARACTERS; it
    stands in a log and in a mail, so never what the other side said.
    """

    status: int | None
    trouble: str
    took_ms: int
    asked: timedelta | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "trouble", self.trouble[:MAX_TROUBLE_CHARACTERS])

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_of_all(self) -> bool:
        """Whether it says more of the endpoint than of the message: the next would fare alike."""
        return self.status is None or self.status in BUSY


def client(*, timeout_s: float = TIMEOUT_S) -> httpx2.AsyncClient:
    """Certificates are verified, as the system trusts them; it must be entered."""
    return httpx2.AsyncClient(
        timeout=timeout_s,
        limits=httpx2.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
        ),
        follow_redirects=False,
        mounts=dict.fromkeys(_HERE),
        headers={"User-Agent": _AGENT, "Content-Type": "application/json", "Accept": "*/*"},
    )


async def call(
    web: httpx2.AsyncClient,
    url: str,
    headers: dict[str, str],
    body: bytes,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """POSTs the body once; whatever happens is an answer."""
    started = monotonic()
    status, asked, trouble = None, None, ""
    try:
        async with (
            asyncio.timeout(timeout_s),
            web.stream("POST", url, headers=headers, content=body) as response,
        ):
            status = response.status_code
            asked = _asked(response.headers.get("retry-after", ""))
            await _discard(response)
    except TimeoutError:
        trouble = f"no answer within {timeout_s:g} s"
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        trouble = _words(error)
    web.cookies.clear()  # nobody is known again
    took_ms = round((monotonic() - started) * 1_000)
    if status is None:
        return Answer(None, trouble, took_ms)
    return Answer(status, _why_not(status), took_ms, asked)


async def _discard(response: httpx2.Response) -> None:
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_DISCARDED_BYTES:
            return


def _why_not(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return "it redirects, which is not followed: add the address it leads to"
    return f"it answered {status}"


def _words(error: Exception) -> str:
    """`ConnectError: All connection attempts failed`, on one line.

    The words of what happened on the way are our own machine's: a time-out, a connection refused or
    reset, a certificate, a name that is not found. Others may quote what was answered, or the
    endpoint's address, and give their name alone.
    """
    said = " ".join(str(error).split()) if isinstance(error, _ON_THE_WAY) else ""
    shown = "".join(letter if letter.isprintable() else "?" for letter in said)
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def _asked(header: str) -> timedelta | None:
    """Retry-After in seconds; its other form, a date, is not worth trusting another's clock."""
    is_seconds = header.isascii() and header.isdigit() and len(header) < 8
    return timedelta(seconds=int(header)) if is_seconds else None
