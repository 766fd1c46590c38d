"""Do the links of an issue lead anywhere? Asked of the web itself, and only when an editor asks.

HEAD first, GET where HEAD is refused. Redirects are followed, but only to http and https. Nothing
is kept of what comes back but its status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from time import monotonic
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from newsletter.rendering.links import CANARY
from newsletter.rendering.rendered import Finding, Link, Severity

MAX_LINKS = 50
AT_ONCE = 8
AGENT = "Mozilla/5.0 (compatible; newsletter link check)"
RULE_ID = "link-dead"
EXPLANATION = "A reader who follows a link finds a page there."
HINT = "open the address in a browser; mend it in the content, or wait until its page is there"
GONE = frozenset({404, 410})
# To HEAD, some servers answer so while they would serve the page.
_TRY_GET = frozenset({400, 401, 403, 404, 405, 406, 501})


@dataclass(frozen=True, slots=True)
class LiveLink:
    """What became of one address. fault: "" where it can be reached; status: 0 for no answer."""

    url: str
    status: int
    fault: str


def check_links_live(
    urls: Iterable[str],
    *,
    timeout_s: float = 5.0,
    opener: Callable[[], OpenerDirector] | None = None,
) -> tuple[LiveLink, ...]:
    """Asks each address once, `AT_ONCE` at a time, and answers in their order.

    timeout_s: how long to wait for an address to say something. Addresses beyond the first
    `MAX_LINKS` are not asked and say so. Never raises for what the web does.
    """
    wanted = list(dict.fromkeys(urls))
    make = opener or _opener
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        asked = pool.map(lambda url: _ask(make(), url, timeout_s), wanted[:MAX_LINKS])
        found = list(asked)
    left = f"not asked: only the first {MAX_LINKS} links are"
    return (*found, *(LiveLink(url, 0, left) for url in wanted[MAX_LINKS:]))


def live_findings(links: Iterable[Link], *, timeout_s: float = 5.0) -> tuple[Finding, ...]:
    """A finding for each link that does not answer: an error where its page is gone."""
    # The archive's page of an issue, where the canary leads, is there once the issue went out.
    links = tuple(link for link in links if link.label != CANARY)
    asked = {one.url: one for one in check_links_live((x.url for x in links), timeout_s=timeout_s)}
    return tuple(
        Finding(
            RULE_ID,
            Severity.ERROR if asked[link.url].status in GONE else Severity.WARNING,
            f"{link.url} {asked[link.url].fault}",
            f"link {link.n}, {link.label}",
            HINT,
        )
        for link in links
        if asked[link.url].fault
    )


def _opener() -> OpenerDirector:
    opener = build_opener(_WebOnly)
    opener.addheaders = [("User-Agent", AGENT), ("Accept", "text/html,*/*")]
    return opener


class _WebOnly(HTTPRedirectHandler):
    """Follows redirects to other web pages; urllib itself would go on to ftp, too."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> Request | None:
        if not _is_web(newurl):
            raise URLError("it redirects away from the web")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # the stub wants HTTPMessage; it is handed on as it came


def _ask(opener: OpenerDirector, url: str, timeout_s: float) -> LiveLink:
    if not _is_web(url):
        return LiveLink(url, 0, "not a web address")
    until = monotonic() + timeout_s
    status, fault = _request(opener, url, "HEAD", timeout_s)
    if status in _TRY_GET and (left := until - monotonic()) > 0:
        status, fault = _request(opener, url, "GET", left)
    return LiveLink(url, status, fault)


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _request(opener: OpenerDirector, url: str, method: str, timeout_s: float) -> tuple[int, str]:
    """Status and fault of one request; the body stays unread."""
    try:
        with opener.open(Request(url, method=method), timeout=timeout_s) as answer:  # noqa: S310 - only http and https get here
            return int(answer.status), ""
    except HTTPError as error:
        with error:
            return error.code, f"answers {error.code} {error.reason}"
    except TimeoutError:
        return 0, f"no answer within {timeout_s:.0f} s"
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            return 0, f"no answer within {timeout_s:.0f} s"
        return 0, f"cannot be reached: {error.reason}"
    except (HTTPException, OSError, ValueError) as error:
        return 0, f"cannot be reached: {error or type(error).__name__}"
