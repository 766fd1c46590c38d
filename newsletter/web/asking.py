"""What the pages ask of whoever presses a button: a moment's time, and where it matters a tick.

A mail scanner presses buttons, too: some at once, some after a while. The moment stops the first
kind. What would take something from a reader, or open a door to somebody else, asks for a tick in a
box besides: it comes unticked, and a program that sends a form as it came does not tick it.
"""

from __future__ import annotations

from newsletter.web.forms import Fields, Pace, pace_of
from newsletter.web.pages import Site, sentence
from subscribers.errors import AudienceError

MAX_SHOWN_ADDRESS = 320  # what is put back into a form
TICKED = "yes"

HURRIED = "That came back faster than a person types. Please press the button once more."
STALE = "This form was shown more than a day ago. Please press the button once more."
NO_TICK = "Please tick the box first: it tells us that you are a person, and no mail scanner."


def again(site: Site, fields: Fields) -> str:
    """Why a form is shown once more, "" where it is not: it came back sooner than a person answers,
    was never shown by us, or was shown too long ago.
    """
    pace = pace_of(site.app.keyring, fields.get("shown", ""), now=site.app.clock())
    return {Pace.HURRIED: HURRIED, Pace.STALE: STALE}.get(pace, "")


def came_hurried(site: Site, fields: Fields) -> bool:
    """Whether a form came back sooner than a person answers, or was never shown by us."""
    return again(site, fields) == HURRIED


def is_ticked(fields: Fields) -> bool:
    return fields.get("sure") == TICKED


def told(error: AudienceError) -> str:
    """What a person can do about it, in sentences."""
    return f"{sentence(error.what)} {sentence(error.hint)}"
