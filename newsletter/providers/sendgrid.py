"""A provider that hands messages to SendGrid through its official client.

SendGrid knows no idempotency key, so nothing is posted twice unless it is certain that the first
time came to nothing; and a request is on record under an id of its own before it leaves. What is
certain: `sendgrid_answers`. What is posted: `sendgrid_payload`.
"""

from __future__ import annotations

import logging
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.client import HTTPException
from itertools import chain
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlsplit

from python_http_client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from newsletter.errors import PermanentError, RefusedError, SettingsError, TransientError
from newsletter.providers.base import (
    AttemptLog,
    Content,
    Envelope,
    Evidence,
    Mailing,
    Outcome,
    Receipt,
)
from newsletter.providers.sendgrid_answers import Meaning, Reply, fit_words, pause_s, reply
from newsletter.providers.sendgrid_payload import (
    MAX_RECIPIENTS,
    MAX_REQUEST_ID_CHARACTERS,
    Part,
    frame,
    members,
    part,
    requests,
    unfolded,
    wired,
)

MAX_RETRIES: Final = 3
# In one call: a batch is leased for minutes, and the lease renewed between calls.
MAX_WAITING_S: Final = 100.0
SUSPICIOUS: Final = 20  # messages refused one by one, and none taken: then it is the mailing

JSON: Final = "application/json; charset=utf-8"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_API_LOG: Final = logging.getLogger("python_http_client.client")
_AGAIN: Final = "wait a little, then run the same command again: it goes on where it stopped"
_HINTS: Final[Mapping[Meaning, str]] = {
    Meaning.LATER: _AGAIN,
    Meaning.NOT_REACHED: "check the network and NEWSLETTER_SENDGRID_URL, then run it again",
    Meaning.UNANSWERED: "see `newsletter issue proof`; run the same command again for the rest",
    Meaning.NO_ENTRY: (
        "check NEWSLETTER_SENDGRID_API_KEY (it needs `Mail Send`) and that SendGrid knows "
        "NEWSLETTER_FROM as a verified sender"
    ),
    Meaning.NOT_THERE: "set NEWSLETTER_SENDGRID_URL to https://api.sendgrid.com or your region's",
    Meaning.AT_FAULT: "mend the mailing or NEWSLETTER_FROM, NEWSLETTER_REPLY_TO; nobody was marked",
}


class SendGrid:
    """Posts up to 1,000 messages a request. One thread at a time may use an instance."""

    name = "sendgrid"
    at_once = MAX_RECIPIENTS

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = "https://api.sendgrid.com",
        timeout_s: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        sandbox: bool = False,
    ) -> None:
        """Raises SettingsError where key or address are not usable. No network is touched.

        timeout_s: for each step of a request. sandbox: SendGrid checks and sends nothing.
        """
        _check_key(api_key)
        self._key = api_key
        self._sleep = sleep
        self._now = now
        self._sandbox = sandbox
        self._api = SendGridAPIClient(api_key, host=_checked_url(base_url))
        self._api.client = _FaithfulClient(
            host=self._api.host,
            request_headers={**self._api.client.request_headers, "Content-Type": JSON},
            version=3,
            timeout=timeout_s,
        )

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        """A receipt for each envelope; `detail` is SendGrid's id of the request and the key.

        Every request is in the log before it is posted, and its receipts come before the next.
        Raises TransientError where the rest was not taken. After a request without an answer it
        also stops: what times out once may time out for everybody.
        """
        composed = [
            (content, *_compose(content, group)) for content, group in mailing.by_content(envelopes)
        ]
        for _content, _parts, refused in composed:
            yield from refused
        planned = chain.from_iterable(
            self._planned(content, parts) for content, parts, _refused in composed
        )
        yield from _Call(self._post, self._wait, log, planned)

    def _planned(
        self, content: Content, parts: Sequence[Part]
    ) -> Iterator[tuple[Content, list[Part]]]:
        """The requests of one content, which stands once in each."""
        longest = "x" * MAX_REQUEST_ID_CHARACTERS
        bare = wired(frame(content, request=longest, sandbox=self._sandbox), ())
        return ((content, request) for request in requests(parts, bare_bytes=len(bare)))

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> dict[int, Evidence]:
        """Unknown for all: only SendGrid's events tell, and they come by themselves."""
        return {envelope.key: Evidence.UNKNOWN for envelope in envelopes}

    def _post(self, content: Content, parts: Iterable[Part], request: str) -> Reply:
        """One request, and what its answer or the lack of one means. request: its id, or ""."""
        _API_LOG.disabled = True  # at DEBUG it logs the key and every reader
        posted = wired(frame(content, request=request, sandbox=self._sandbox), parts)
        try:
            answer = self._api.client.mail.send.post(request_body=posted)
        except HTTPError as error:
            answer = error
        except URLError as error:
            # urllib raises it while it connects and writes, never once the request is written
            # whole. An API cannot act on a part of one.
            words = f"SendGrid could not be reached: {_cause(error.reason, self._key)}"
            return Reply(Meaning.NOT_REACHED, words)
        except (OSError, HTTPException) as error:
            words = f"SendGrid had the request and gave no answer: {_cause(error, self._key)}"
            return Reply(Meaning.UNANSWERED, words)
        return reply(answer.status_code, answer.headers, answer.body or b"", secret=self._key)

    def _wait(self, answer: Reply, attempt: int, waited_s: float) -> float | None:
        """Seconds waited before another attempt; None where there is to be none."""
        if answer.meaning not in (Meaning.LATER, Meaning.NOT_REACHED) or attempt == MAX_RETRIES:
            return None
        seconds = pause_s(answer.reset, now=self._now(), attempt=attempt)
        if waited_s + seconds > MAX_WAITING_S:
            return None
        self._sleep(seconds)
        return seconds


class _Call:
    """The requests of one `submit`, as their answers come in.

    planned: requests as they were cut. waiting: what is left of one of them, or its halves; they
    are settled before the next planned one leaves, so that what has no receipt is never more than
    one request. That one content is taken says nothing of the other.
    """

    def __init__(
        self,
        post: Callable[[Content, Iterable[Part], str], Reply],
        wait: Callable[[Reply, int, float], float | None],
        log: AttemptLog,
        planned: Iterator[tuple[Content, list[Part]]],
    ) -> None:
        self._post = post
        self._wait = wait
        self._log = log
        self._planned = planned
        self._waiting: deque[tuple[Content, list[Part]]] = deque()
        self._waited_s = 0.0
        self._has_taken = False
        # Refused alone, without their address being named: theirs, or the mailing's fault?
        self._held: list[Receipt] = []

    def __iter__(self) -> Iterator[Receipt]:
        last: Content | None = None
        for request in self._planned:
            if request[0] is not last:
                last, self._has_taken = request[0], False
            self._waiting.append(request)
            while self._waiting:
                yield from self._settle(*self._waiting.popleft())
            yield from self._release()

    def _settle(self, content: Content, request: list[Part]) -> Iterator[Receipt]:
        answer = self._ask(content, request)
        if answer.meaning is Meaning.TAKEN:
            self._has_taken = True
            yield from (_taken(answer, one) for one in request)
        elif answer.meaning is Meaning.AT_FAULT:
            yield from self._find_fault(content, request, answer)
        else:
            yield from self._stop(request, answer)
        if self._has_taken:
            yield from self._release()

    def _ask(self, content: Content, request: Sequence[Part]) -> Reply:
        """Posts a set of messages; again, under the same id, while none of them was taken."""
        request_id = self._log.request([one.key for one in request])
        attempt = 0
        while True:
            answer = self._post(content, request, request_id)
            waited_s = self._wait(answer, attempt, self._waited_s)
            if waited_s is None:
                return answer
            self._waited_s += waited_s
            attempt += 1

    def _stop(self, request: Sequence[Part], answer: Reply) -> Iterator[Receipt]:
        """The rest is given back: it was not tried, so it is nobody's failure."""
        if answer.meaning is Meaning.UNANSWERED:
            yield from (Receipt(one.key, Outcome.UNCERTAIN, answer.words) for one in request)
        raise TransientError(answer.words, hint=_HINTS[answer.meaning])

    def _find_fault(
        self, content: Content, request: list[Part], answer: Reply
    ) -> Iterator[Receipt]:
        """Fails who is named; where nobody is, goes on with each half."""
        common = next((fault for fault in answer.faults if fault.is_common), None)
        if common is not None:
            raise _mailing_refused(common.words)
        named = {
            fault.index: fault
            for fault in reversed(answer.faults)
            if fault.index is not None and fault.index < len(request)
        }
        rest = [one for index, one in enumerate(request) if index not in named]
        for index, fault in named.items():
            failed = Receipt(request[index].key, Outcome.FAILED, fault.words)
            if fault.is_address:
                yield failed
            else:
                self._hold(failed)
        if named:
            self._waiting.extendleft([(content, rest)] if rest else [])
        elif len(request) == 1:
            self._hold(Receipt(request[0].key, Outcome.FAILED, answer.words))
        else:
            middle = len(request) // 2
            halves = request[middle:], request[:middle]
            self._waiting.extendleft((content, half) for half in halves)

    def _hold(self, failed: Receipt) -> None:
        self._held.append(failed)
        if not self._has_taken and len(self._held) >= SUSPICIOUS:
            raise _mailing_refused(failed.detail)

    def _release(self) -> Iterator[Receipt]:
        yield from self._held
        self._held.clear()


class _FaithfulClient(Client):  # type: ignore[misc]  # the library is untyped
    """The official client, which follows no redirect: the key would go with it to any host."""

    def _build_client(self, name: str | None = None) -> _FaithfulClient:
        return _FaithfulClient(
            host=self.host,
            version=self._version,
            request_headers=self.request_headers,
            url_path=[*self._url_path, name] if name else self._url_path,
            append_slash=self.append_slash,
            timeout=self.timeout,
        )

    def _make_request(self, opener: Any, request: Any, timeout: float | None = None) -> Any:
        faithful = urllib.request.build_opener(_NoRedirects)
        return super()._make_request(faithful, request, timeout=timeout)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the redirect itself is the answer."""


def _compose(content: Content, envelopes: Sequence[Envelope]) -> tuple[list[Part], list[Receipt]]:
    """Everybody's part, all before the first request goes out; and those who cannot have one."""
    shared = members(unfolded(content.headers))
    parts, refused = [], []
    for envelope in envelopes:
        try:
            parts.append(part(content, shared, envelope))
        except (PermanentError, RefusedError) as error:
            refused.append(Receipt(envelope.key, Outcome.FAILED, error.what))
    return parts, refused


def _taken(answer: Reply, one: Part) -> Receipt:
    detail = f"{answer.message_id}.{one.key}" if answer.message_id else ""
    return Receipt(one.key, Outcome.SUBMITTED, detail)


def _mailing_refused(words: str) -> TransientError:
    return TransientError(
        f"SendGrid refuses the mailing itself: {words}", hint=_HINTS[Meaning.AT_FAULT]
    )


def _cause(reason: object, secret: str) -> str:
    """`timed out`, `[Errno 111] Connection refused`; never more than a line."""
    if isinstance(reason, TimeoutError):
        return "timed out"
    return fit_words(str(reason) or type(reason).__name__, secret=secret)


def _check_key(api_key: str) -> None:
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise SettingsError(
            "the API key for SendGrid is missing or not of plain characters",
            hint="set NEWSLETTER_SENDGRID_API_KEY to a key that may `Mail Send`",
        )


def _checked_url(base_url: str) -> str:
    """Without a slash at the end. Only this machine may be spoken to without TLS."""
    try:
        parts = urlsplit(base_url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        is_plain = bool(parts.hostname) and not (parts.username or parts.query or parts.fragment)
    except ValueError:
        is_safe = is_plain = False
    if not is_safe or not is_plain:
        raise SettingsError(
            "the address of SendGrid's API is not usable: it would get the key",
            hint="set NEWSLETTER_SENDGRID_URL to an https address such as https://api.sendgrid.com",
        )
    return base_url.rstrip("/")
