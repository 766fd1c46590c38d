"""What forms send, and whether a person can have filled them in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from newsletter.errors import TokenError
from newsletter.tokens import Keyring

QUICKEST_PERSON = timedelta(seconds=2)
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


def is_hurried(keyring: Keyring, stamp: str, *, now: datetime) -> bool:
    """Whether a form came back sooner than a person answers, or was never shown by us."""
    try:
        shown_at = keyring.read_form(stamp)
    except TokenError:
        return True
    return now - shown_at < QUICKEST_PERSON
