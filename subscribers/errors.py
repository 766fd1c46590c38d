"""The audience's errors.

AudienceError            what went wrong, what to do next
├── AddressError         this is not an address mail can go to
├── ChoiceError          this cannot be chosen; nothing was changed
├── UnknownSubscriberError  no such subscriber
├── SegmentError         a rule that cannot be read, with the word; or no segment of that name
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


class ChoiceError(AudienceError):
    """This cannot be chosen; nothing was changed."""


class UnknownSubscriberError(AudienceError):
    """There is no such subscriber."""


class SegmentError(AudienceError):
    """A segment's rule cannot be read, or there is none of that name.

    at: the place of the word it stumbled over, in characters; None where it is not about a word.
    """

    def __init__(self, what: str, *, hint: str = "", at: int | None = None) -> None:
        super().__init__(what, hint=hint)
        self.at = at


class ImportRefusedError(AudienceError):
    """The list cannot be imported as a whole; nothing was written."""
