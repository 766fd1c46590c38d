"""Ship or skip: a reader's vote behind a link of their mail, a visitor's on a comparison's page.

GET and HEAD show what would be said; POST says it. A vote that comes sooner than a person presses
is kept apart, and asked for once more; so is what a page of somebody else's sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from newsletter import abuse
from newsletter.doors import visitor_network
from newsletter.editorial import votes
from newsletter.editorial.ballots import Standing
from newsletter.editorial.views import comparison_view
from newsletter.editorial.votes import Outcome, Question
from newsletter.rendering.view import ComparisonView, ToolView, Verdict
from newsletter.tokens import DeliveryToken
from newsletter.web.asking import STALE, again, came_hurried
from newsletter.web.forms import Fields, Form
from newsletter.web.limits import TRAP
from newsletter.web.pages import AnySite, Site, client_ip, site_of
from newsletter.web.public import READ, comparison_page

PRESSES_AN_HOUR = 60  # of one reader; more is a program that has their token
FIELD = "vote."  # and a tool's slug

HASTY = "That came back faster than a person presses a button. Please press it once more."
APART = (
    "That came together with other presses, faster than a person makes them. Wait ten seconds and "
    "press once more: then it counts."
)
ELSEWHERE = "That came from a page that is not ours. Nothing is counted yet: press the button here."
TOO_MANY = "That is a lot of votes within an hour. Nothing more is counted for now; try later."
NOTHING_CHOSEN = "Choose ship or skip for at least one of the two."
THANKS = "Counted, thank you. Vote again to change it."

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Link:
    """What a link of a mail says: whose it is, and what they would answer."""

    token: str
    asked: DeliveryToken
    question: Question
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class VotePage:
    """What the page of a vote shows. kept: what stands for this reader now."""

    comparison: ComparisonView
    tool: ToolView
    other_tool: ToolView
    verdict: Verdict
    kept: Standing | None

    @property
    def other_verdict(self) -> Verdict:
        return Verdict.SKIP if self.verdict is Verdict.SHIP else Verdict.SHIP

    @property
    def is_counted(self) -> bool:
        """Whether what the page would say is what stands already."""
        kept = self.kept
        return kept is not None and kept.verdict is self.verdict and not kept.suspicion


def read_link(request: Request, token: str, comparison: str, tool: str, verdict: str) -> Link:
    """Raises TokenError for a token that is none, NotFoundError for what its issue never asked."""
    app = site_of(request).app
    asked = app.keyring.read_vote(token)
    if verdict not in set(Verdict):
        raise HTTPException(404)
    with app.session(readonly=True) as session:
        question = votes.ask(session, issue_id=asked.issue_id, slug=comparison, tool=tool)
    return Link(token, asked, question, Verdict(verdict))


AnyLink = Annotated[Link, Depends(read_link)]
PATH = "/vote/{token}/{comparison}/{tool}/{verdict}"


@router.api_route(PATH, methods=READ)
def show_vote(site: AnySite, link: AnyLink) -> Response:
    """One button; nothing is counted by looking."""
    if not link.asked.subscriber_id:
        return _to_the_comparison(site, link)
    return _page(site, link)


@router.post(PATH)
def vote(site: AnySite, request: Request, link: AnyLink, fields: Form) -> Response:
    app, reader = site.app, link.asked.subscriber_id
    if not reader:
        return _to_the_comparison(site, link)
    if _came_from_elsewhere(request):
        return _page(site, link, note=ELSEWHERE, status=403)
    is_hurried = came_hurried(site, fields)
    with app.session() as session:
        door = app.keyring.fingerprint(f"voter:{reader}")
        if not abuse.admit_vote(session, door, limit=PRESSES_AN_HOUR, now=app.clock()):
            outcome = None
        else:
            outcome = votes.cast(
                session,
                link.question,
                link.verdict,
                subscriber_id=reader,
                issue_id=link.asked.issue_id,
                at=app.clock(),
                is_hurried=is_hurried,
                agent=request.headers.get("user-agent", ""),
                network=client_ip(request),
            )
    if outcome is None:
        return _page(site, link, note=TOO_MANY, status=429)
    if outcome is Outcome.APART:
        return _page(site, link, note=HASTY if is_hurried else APART)
    return _page(site, link, is_new=True)


@router.post("/comparisons/{slug}/vote")
def vote_as_visitor(site: AnySite, request: Request, slug: str, fields: Form) -> Response:
    """One vote a visitor, tool and month, kept apart from those of readers."""
    app, now = site.app, site.app.clock()
    if _came_from_elsewhere(request):
        return comparison_page(site, slug, note=ELSEWHERE, status=403)
    with app.session(readonly=True) as session:
        comparison_id, comparison = votes.open_poll(session, slug)
    said = {tool: fields.get(FIELD + tool, "") for tool in comparison.tool_slugs}
    chosen = {tool: Verdict(one) for tool, one in said.items() if one in set(Verdict)}
    if why := _once_more(site, fields):
        return comparison_page(site, slug, note=why, said=said)
    if not chosen:
        return comparison_page(site, slug, error=NOTHING_CHOSEN, status=422)
    network = visitor_network(client_ip(request))
    agent = request.headers.get("user-agent", "")
    with app.session() as session:
        door = app.keyring.fingerprint(f"visitor:{network}")
        limit = app.settings.votes_per_ip
        is_admitted = abuse.admit_vote(session, door, limit=limit, now=now)
        if is_admitted:
            visitor = app.keyring.fingerprint(f"voter:{now:%Y-%m}:{network}:{agent}")
            votes.cast_as_visitor(session, comparison_id, chosen, visitor=visitor, at=now)
    if not is_admitted:
        return comparison_page(site, slug, note=TOO_MANY, said=said, status=429)
    return comparison_page(site, slug, note=THANKS, said=said)


def _once_more(site: Site, fields: Fields) -> str:
    """Why a visitor's form is shown again; "" where it is not. One stamp serves for a day."""
    why = again(site, fields)
    if why == STALE:
        return STALE
    return HASTY if why or fields.get(TRAP) else ""


def _came_from_elsewhere(request: Request) -> bool:
    """Whether a browser says that somebody else's page made it send this; not all browsers tell."""
    return request.headers.get("sec-fetch-site") == "cross-site"


def _to_the_comparison(site: Site, link: Link) -> Response:
    """The public copy of a mail is nobody's: its readers vote as visitors of the page."""
    base = urlsplit(site.app.publication.url).path
    place = f"{base}/comparisons/{link.question.comparison.slug}#vote"
    return Response(status_code=303, headers={"Location": place})


def _page(
    site: Site, link: Link, *, is_new: bool = False, note: str = "", status: int = 200
) -> Response:
    """The page as things stand now. is_new: their vote was counted by this very press."""
    question, reader = link.question, link.asked.subscriber_id
    with site.app.session(readonly=True) as session:
        if not votes.may_vote(session, reader):
            slug = question.comparison.slug
            return site.page("web/vote_over.html", status=410, slug=slug)
        kept = votes.standing(session, question, reader)
        tallies = votes.tallies(session, question.comparison_id)
    view = comparison_view(
        question.comparison, public_url=site.app.publication.url, tallies=tallies
    )
    page = VotePage(
        comparison=view,
        tool=view.tools[question.place],
        other_tool=view.tools[1 - question.place],
        verdict=link.verdict,
        kept=kept,
    )
    return site.page(
        "web/vote.html",
        status=status,
        token=link.token,
        page=page,
        is_new=is_new,
        note=note,
        shown=site.form_stamp(),
    )
