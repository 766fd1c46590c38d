"""The script that puts the sign-up form on another site's page."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response

from newsletter import readers
from newsletter.web.pages import AnySite
from newsletter.web.public import READ, STATIC_MAX_AGE_S

SCRIPT = "/embed/sign-up.js"

# Where a proof of work is asked for, and only there, our own pages run our own script and nothing
# else: it finds the number, and fills it into the form.
PROVING = "; script-src 'self'; connect-src 'self'"

router = APIRouter()


@router.api_route(SCRIPT, methods=READ)
def script(site: AnySite, request: Request) -> Response:
    """The same for everybody, so that caches may keep it."""
    content = site.pages.text("web/sign-up.js", wording=readers.FORM_WORDING)
    tag = f'"{hashlib.sha256(content.encode()).hexdigest()[:16]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": f"public, max-age={STATIC_MAX_AGE_S}",
        # A site that isolates itself (COEP) takes only what says that it may be taken.
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="text/javascript")
