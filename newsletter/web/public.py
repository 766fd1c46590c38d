"""What anybody may read: the front page, the comparisons, the archive of issues."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request, Response
from sqlmodel import Session, col, select
from starlette.exceptions import HTTPException

from newsletter import mailings
from newsletter.editorial import issues, library
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.views import comparison_view
from newsletter.errors import NotFoundError, RefusedError
from newsletter.rendering.slots import neutral
from newsletter.rendering.view import ComparisonView
from newsletter.store.models import Issue, Rendered
from newsletter.store.states import ComparisonState, IssueState
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

router = APIRouter()


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
    with site.app.session(readonly=True) as session:
        found = library.load_revision(session, slug)
    if found.status is ComparisonState.DRAFT:
        raise NotFoundError(f"{slug} is a draft", hint="finish it first")
    return site.page("web/comparison.html", comparison=_view(site, found), form=site.sign_up_form())


@router.api_route("/issues", methods=READ)
def archive(site: AnySite) -> Response:
    """Every issue that went out, newest first."""
    with site.app.session(readonly=True) as session:
        sent = _sent_issues(session)
    return site.page("web/issues.html", issues=sent, form=site.sign_up_form())


@router.api_route("/issues/{week}", methods=READ)
def issue(site: AnySite, week: str) -> Response:
    """The mail as it went out, the very same bytes but for the slots, which stand for nobody."""
    with site.app.session(readonly=True) as session:
        found = issues.find(session, week_of(week))
        if found.frozen_at is None:
            raise NotFoundError(f"issue {found.week} has not gone out", hint="wait for its slot")
        stored = issues.rendered(session, found.id)
    body = neutral(stored.html, mailings.public_slots(site.app, found.id))
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
