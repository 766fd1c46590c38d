"""What forms send, and whether a person can have filled them in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from newsletter.errors import TokenError
from newsletter.tokens import Keyring

QUICKEST_PERSON = timedelta(seconds=2)
GREATEST_AGE = timedelta(days=1)  # of a form: who keeps one for longer may keep it to send often
MAX_FIELDS = 20

Fields = Mapping[str, str]


async def read_fields(request: Request) -> Fields:
    """The text fields of a form, urlencoded or multipart; files are left out."""
    form = await request.form(max_files=MAX_FIELDS, max_fields=MAX_FIELDS)
    try:
        return {name: value for name, value in form.multi_items() if isinstance(value, str)}
    finally:
        await form.close()


async def read_fields_if_any(request: Request) -> Fields:
    """The same, but a body that cannot be read counts as empty: leaving must not fail on it."""
    try:
        return await read_fields(request)
    except HTTPException as error:
        if error.status_code != 400:
            raise
        return {}


Form = Annotated[Fields, Depends(read_fields)]
LenientForm = Annotated[Fields, Depends(read_fields_if_any)]


class Pace(Enum):
    """How long a form took to come back."""

    FITTING = "fitting"  # as long as people take
    HURRIED = "hurried"  # sooner than a person answers, or never shown by us
    STALE = "stale"  # longer than a form is good for


def pace_of(keyring: Keyring, stamp: str, *, now: datetime) -> Pace:
    """stamp: what the form carried of when it was shown."""
    try:
        age = now - keyring.read_form(stamp)
    except TokenError:
        return Pace.HURRIED
    if age < QUICKEST_PERSON:
        return Pace.HURRIED
    return Pace.STALE if age > GREATEST_AGE else Pace.FITTING
