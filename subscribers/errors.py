"""The audience's errors.

AudienceError            what went wrong, what to do next
├── AddressError         this is not an address mail can go to
├── UnknownSubscriberError  no such subscriber
└── ImportRefusedError   a list that cannot be imported as a whole; nothing was written
"""

from __future__ import annotations


class AudienceError(Exception):
    """The root: a message made of what happened, to which thing, and what to do next."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  next: {self.hint}" if self.hint else self.what


class AddressError(AudienceError):
    """This is not an address mail can go to."""


class UnknownSubscriberError(AudienceError):
    """There is no such subscriber."""


class ImportRefusedError(AudienceError):
    """The list cannot be imported as a whole; nothing was written."""
