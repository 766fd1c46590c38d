"""What anybody may read: the front page, the comparisons, the archive of issues."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from fastapi import APIRouter, Request, Response
from sqlmodel import Session, col, select
from starlette.exceptions import HTTPException

from newsletter import mailings
from newsletter.editorial import issues, library, votes
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.tallies import Tally
from newsletter.editorial.views import comparison_view
from newsletter.errors import NotFoundError, RefusedError
from newsletter.rendering.slots import neutral
from newsletter.rendering.view import ComparisonView, ToolView, VoteView
from newsletter.store.models import Issue, Rendered
from newsletter.store.states import IssueState
from newsletter.web.pages import AnySite, Site
from newsletter.weeks import IssueWeek

READ: Final = ["GET", "HEAD"]  # HEAD answers as GET does, without the body
ON_THE_FRONT_PAGE = 5
LISTED_STATES = (IssueState.SENDING, IssueState.DONE)
STATIC: Final = {"site.css": "text/css", "studio.css": "text/css", "icon.svg": "image/svg+xml"}
STATIC_MAX_AGE_S = 3_600

# A mail brings its own styles and its pixel; both stay within our own origin,
# but for a logo the publication keeps elsewhere.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' {origin}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

NOTHING_SAID: Mapping[str, str] = MappingProxyType({})

router = APIRouter()


@dataclass(frozen=True, slots=True)
class PollRow:
    """One tool in the form for visitors. said: what they answered just now, or ""."""

    tool: ToolView
    slug: str
    visitors: VoteView | None
    said: str


@dataclass(frozen=True, slots=True)
class Poll:
    rows: tuple[PollRow, ...]
    note: str  # what became of the answer
    error: str  # what is wrong with it


@dataclass(frozen=True, slots=True)
class SentIssue:
    """An issue as the archive lists it."""

    slug: str
    slot_at: datetime
    samples: bool
    subject: str
    sha256: str


@router.api_route("/", methods=READ)
def front(site: AnySite) -> Response:
    """The latest verdicts, and the way to get the next."""
    with site.app.session(readonly=True) as session:
        latest = library.listed(session, samples=False)[:ON_THE_FRONT_PAGE]
        sent = _sent_issues(session)[:1]
    return site.page(
        "web/front.html",
        comparisons=[_view(site, one) for one in latest],
        newest=sent[0] if sent else None,
        form=site.sign_up_form(),
    )


@router.api_route("/comparisons", methods=READ)
def comparisons(site: AnySite) -> Response:
    with site.app.session(readonly=True) as session:
        listed = [_view(site, one) for one in library.listed(session, samples=True)]
    return site.page(
        "web/comparisons.html",
        comparisons=[one for one in listed if not one.sample],
        samples=[one for one in listed if one.sample],
        form=site.sign_up_form(),
    )


@router.api_route("/comparisons/{slug}", methods=READ)
def comparison(site: AnySite, slug: str) -> Response:
    """One comparison whole, with every quote to the letter. A draft is not published: 404."""
    return comparison_page(site, slug)


def comparison_page(
    site: Site,
    slug: str,
    *,
    status: int = 200,
    note: str = "",
    error: str = "",
    said: Mapping[str, str] = NOTHING_SAID,
) -> Response:
    """The page, with what became of a visitor's vote. said: their verdicts by the tools' slugs."""
    with site.app.session(readonly=True) as session:
        comparison_id, found = votes.open_poll(session, slug)
        tallies = votes.tallies(session, comparison_id)
    view = comparison_view(found, public_url=site.app.publication.url, tallies=tallies)
    rows = [
        PollRow(tool, name, _of_visitors(tallies.get(name)), said.get(name, ""))
        for tool, name in zip(view.tools, view.tool_slugs, strict=True)
    ]
    return site.page(
        "web/comparison.html",
        status=status,
        comparison=view,
        poll=Poll(tuple(rows), note, error),
        form=site.sign_up_form(),
    )


@router.api_route("/issues", methods=READ)
def archive(site: AnySite) -> Response:
    """Every issue that went out, newest first."""
    with site.app.session(readonly=True) as session:
        sent = _sent_issues(session)
    return site.page("web/issues.html", issues=sent, form=site.sign_up_form())


@router.api_route("/issues/{week}", methods=READ)
def issue(site: AnySite, week: str) -> Response:
    """The mail as it went out, the very same bytes but for the slots, which stand for nobody.

    Of an issue that tracked nobody, what everybody got: without a pixel, and with plain links.
    """
    with site.app.session(readonly=True) as session:
        found = issues.find(session, week_of(week))
        if found.frozen_at is None:
            raise NotFoundError(f"issue {found.week} has not gone out", hint="wait for its slot")
        stored = issues.rendered(session, found.id)
    read = mailings.as_read(site.app, found, stored)
    body = neutral(read.html, mailings.public_slots(site.app, found.id))
    headers = {
        "X-Issue-SHA256": stored.sha256,
        "Content-Security-Policy": MAIL_POLICY.format(origin=site.origin),
    }
    return Response(body, headers=headers, media_type="text/html")


@router.api_route("/static/{name}", methods=READ)
def static(site: AnySite, request: Request, name: str) -> Response:
    if name not in STATIC:
        raise HTTPException(404)
    content = site.pages.text(f"web/{name}")
    tag = f'"{hashlib.sha256(content.encode()).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": f"public, max-age={STATIC_MAX_AGE_S}"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=STATIC[name])


def _of_visitors(tally: Tally | None) -> VoteView | None:
    """None until one of them voted."""
    if tally is None or not tally.visitors:
        return None
    return VoteView(tally.visitors_ship, tally.visitors_skip)


def _view(site: Site, found: Comparison) -> ComparisonView:
    return comparison_view(found, public_url=site.app.publication.url)


def _sent_issues(session: Session) -> list[SentIssue]:
    """Newest first; asks for the few columns a list shows, not for the bytes of every mail."""
    query = (
        select(Issue, Rendered.subject, Rendered.sha256)
        .join(Rendered, col(Rendered.id) == col(Issue.rendered_id))
        .where(Issue.kind == issues.WEEKLY, col(Issue.state).in_(LISTED_STATES))
        .order_by(col(Issue.slot_at).desc())
    )
    return [
        SentIssue(issue.week.lower(), issue.slot_at, issue.samples, subject, sha256)
        for issue, subject, sha256 in session.exec(query)
    ]


def week_of(slug: str) -> str:
    """The week of an archive address; only the canonical spelling `2026-w48` has a page."""
    try:
        week = IssueWeek.parse(slug)
    except RefusedError:
        raise NotFoundError(f"{slug!r} is not a week", hint="see the archive") from None
    if week.slug != slug:
        raise NotFoundError(f"{slug!r} is not spelled {week.slug}", hint="see the archive")
    return str(week)
