"""The defences of a sign-up, the very same for the form and the JSON endpoint.

In order: a field no person sees, the time the form was shown, the address itself, a proof of work
where one is asked for, and the limits. What is held back is answered as all others are.
"""

from __future__ import annotations

import secrets
from enum import Enum

from fastapi import Request
from sqlmodel import Session

from newsletter import abuse, puzzle, readers, sign_ups
from newsletter.abuse import Allowance
from newsletter.app import App
from newsletter.doors import visitor_network
from newsletter.puzzle import Puzzle, Solution
from newsletter.web.forms import Fields, Pace, pace_of
from newsletter.web.pages import Site, client_ip

TRAP = "website"  # the field that no person sees
STAMP = "shown"
SOLUTION = "altcha"


class Taken(Enum):
    """What became of a sign-up, as far as a visitor may know."""

    YES = "check_inbox"
    HURRIED = "hurried"  # too soon, or no form of ours
    STALE = "stale"  # a form shown too long ago
    UNPROVED = "unproved"  # with work that proves nothing, or did so before


def sign_up(site: Site, request: Request, fields: Fields, *, source: str) -> Taken:
    """Raises AddressError where the text is no address."""
    app = site.app
    now = app.clock()
    pace = pace_of(app.keyring, fields.get(STAMP, ""), now=now)
    if fields.get(TRAP) or pace is Pace.HURRIED:
        return Taken.HURRIED
    if pace is Pace.STALE:
        return Taken.STALE
    address = sign_ups.reachable(fields.get("email", ""))
    solution = _solution(app, fields)
    if solution is None and _is_wrong(app, fields):
        return Taken.UNPROVED
    ip = client_ip(request)
    with app.session() as session:
        if solution is not None and not abuse.use_up(session, solution):
            return Taken.UNPROVED
        readers.take_sign_up(
            app,
            session,
            address,
            source=source,
            network=ip,
            may_mail=_is_admitted(app, session, ip, is_solved=solution is not None),
        )
    return Taken.YES


def may_mail_link(site: Site, request: Request) -> bool:
    """Counts one who asks for the link to a page of a reader's own; whether a mail may go.

    As many an hour as sign-ups, and counted apart from them.
    """
    app = site.app
    with app.session() as session:
        return abuse.admit_link(
            session,
            _visitor(app, client_ip(request)),
            limit=app.settings.sign_ups_per_ip,
            now=app.clock(),
        )


def puzzle_for(site: Site) -> Puzzle | None:
    """A fresh proof of work; None where none is asked for."""
    tries = site.app.settings.proof_of_work
    if not tries:
        return None
    return puzzle.pose(
        _key(site.app),
        nonce=secrets.token_bytes(puzzle.NONCE_BYTES),
        number=secrets.randbelow(tries + 1),
        max_number=tries,
        now=site.app.clock(),
    )


def _is_admitted(app: App, session: Session, ip: str, *, is_solved: bool) -> bool:
    settings = app.settings
    return abuse.admit(
        session,
        _visitor(app, ip),
        is_solved=is_solved,
        allowance=Allowance(
            per_visitor=settings.sign_ups_per_ip,
            in_all=settings.sign_ups_per_hour,
            unsolved=settings.sign_ups_unsolved_per_hour if settings.proof_of_work else None,
        ),
        now=app.clock(),
    )


def _visitor(app: App, ip: str) -> str:
    return app.keyring.fingerprint(f"visitor:{visitor_network(ip)}")


def _solution(app: App, fields: Fields) -> Solution | None:
    if not app.settings.proof_of_work:
        return None
    return puzzle.read_solution(_key(app), fields.get(SOLUTION, ""), now=app.clock())


def _is_wrong(app: App, fields: Fields) -> bool:
    """Work that proves nothing; none at all is not wrong: there are browsers without scripts."""
    return bool(app.settings.proof_of_work and fields.get(SOLUTION))


def _key(app: App) -> bytes:
    return app.keyring.fingerprint("proof of work").encode()
