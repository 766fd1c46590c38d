"""The editor's plain preview of any issue: read only, and only for this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Depends, Response

from newsletter import mailings
from newsletter.editorial import issues
from newsletter.editorial.issues import IssueDetails, StoredRender
from newsletter.errors import NotFoundError
from newsletter.rendering.slots import neutral, neutral_text
from newsletter.web.pages import AnySite, Site
from newsletter.web.public import READ, week_of
from newsletter.web.screens import only_this_machine

STUDIO_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The mail is shown, not run: no scripts, no forms, no way out of its frame.
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' {origin}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

Scheme = Literal["light", "dark"]
ANSWER: Mapping[Scheme, str] = {"dark": "(min-width:0)", "light": "(max-width:0)"}  # yes; no
_IN_THE_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)")


router = APIRouter(prefix="/studio", dependencies=[Depends(only_this_machine)])


@router.api_route("", methods=READ)
def studio(site: AnySite) -> Response:
    """Every issue: its state, its approval, its findings."""
    with site.app.session(readonly=True) as session:
        found = issues.all_issues(session)
    return _studio_page(site, "studio/issues.html", issues=found)


@router.api_route("/issues/{week}", methods=READ)
def issue(site: AnySite, week: str, scheme: Scheme = "light") -> Response:
    """One issue for its editor: what was chosen, what the checks found, the mail at two widths."""
    found, stored = _load(site, week)
    shown = mailings.as_read(site.app, found, stored).text if stored else ""
    text = neutral_text(shown, _nobody(site, found))
    return _studio_page(
        site, "studio/issue.html", issue=found, render=stored, text=text, scheme=scheme
    )


@router.api_route("/issues/{week}/mail", methods=READ)
def mail(site: AnySite, week: str, scheme: Scheme = "light") -> Response:
    """The HTML part as the preview's frames show it: links stand for nobody, colours as asked.

    A frame follows the editor's own device, so the media query is answered here.
    """
    found, stored = _load(site, week)
    if stored is None:
        raise NotFoundError(f"issue {found.ref} has not been rendered", hint="render it first")
    shown = mailings.as_read(site.app, found, stored)
    body = _IN_THE_DARK.sub(ANSWER[scheme], neutral(shown.html, _nobody(site, found)))
    headers = {
        "Content-Security-Policy": MAIL_POLICY.format(origin=site.origin),
        "X-Frame-Options": "SAMEORIGIN",
    }
    return Response(body, headers=headers, media_type="text/html")


def _load(site: Site, week: str) -> tuple[IssueDetails, StoredRender | None]:
    with site.app.session(readonly=True) as session:
        found = issues.find(session, issue_ref(week))
        return found, issues.rendered(session, found.id) if found.sha256 else None


def issue_ref(slug: str) -> str:
    """`2026-w48-correction` -> `2026-W48/correction`. Raises NotFoundError for no such address."""
    week = slug.removesuffix(f"-{issues.CORRECTION}")
    return issues.called(issues.WEEKLY if week == slug else issues.CORRECTION, week_of(week))


def _nobody(site: Site, found: IssueDetails) -> Mapping[str, str]:
    return mailings.public_slots(site.app, found.id)


def _studio_page(site: Site, template: str, **values: Any) -> Response:
    return site.page(template, headers={"Content-Security-Policy": STUDIO_POLICY}, **values)
