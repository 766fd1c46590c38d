"""Every error this program raises on purpose.

NewsletterError                 what went wrong, which thing, what to do next
├── SettingsError               a setting is missing, unknown or not usable
├── ContentError                an editor's file is not usable (file, line, field)
├── TemplateError               a template is missing or does not render
├── TokenError                  a signed token is forged, damaged, expired or for another purpose
│   └── ExpiredTokenError       it was good once: a fresh one is needed
├── StoreError                  the database cannot be opened, is busy, or is of another version
├── RefusedError                a request that makes no sense in the present state
│   ├── NotFoundError           no such issue, comparison, reader
│   ├── ApprovalError           approval is missing, void or not possible
│   ├── IllegalMoveError        a state machine does not know this move
│   └── TakenOverError          a batch is in another sender's hands by now
├── LedgerError                 the account of an audience does not add up
└── ProviderError               a provider did not take a message
    ├── TransientError          try again later
    ├── PermanentError          do not try this message again
    └── UncertainError          it may have been taken: never resend by itself

The audience's own errors (`subscribers.errors`) stand apart: that package knows nothing of us.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class NewsletterError(Exception):
    """The root: a message made of what happened, to which thing, and what to do next."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  next: {self.hint}" if self.hint else self.what


class SettingsError(NewsletterError):
    """A setting is missing, unknown or not usable."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in an editor's file: where it is and what to write instead."""

    file: Path
    line: int
    field: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: {self.field}: {self.what}"
        return f"{place}\n  next: {self.hint}" if self.hint else place


class ContentError(NewsletterError):
    """One or more faults in editors' files; `problems` holds each with its line and field."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class TemplateError(NewsletterError):
    """A template is missing or does not render."""


class TokenError(NewsletterError):
    """A signed token is forged, damaged, expired or made for another purpose."""


class ExpiredTokenError(TokenError):
    """The token was good once: its time is over."""


class StoreError(NewsletterError):
    """The database cannot be opened, is busy, or is of another version."""


class RefusedError(NewsletterError):
    """A request that makes no sense in the present state; nothing was changed."""


class NotFoundError(RefusedError):
    """There is no such issue, comparison or reader."""


class ApprovalError(RefusedError):
    """Approval is missing, void, or not possible while findings stand open.

    reason: why, without the issue's name; what a voided approval keeps.
    """

    def __init__(self, what: str, *, hint: str = "", reason: str = "") -> None:
        super().__init__(what, hint=hint)
        self.reason = reason or what


class IllegalMoveError(RefusedError):
    """A state machine does not know this move."""


class TakenOverError(RefusedError):
    """A batch is in another sender's hands by now: this one's answers are not recorded."""


class LedgerError(NewsletterError):
    """The account of an audience does not add up; nothing was committed."""


class ProviderError(NewsletterError):
    """A provider did not take a message."""


class TransientError(ProviderError):
    """Not taken this time: try again later."""


class PermanentError(ProviderError):
    """Refused for good: do not try this message again."""


class UncertainError(ProviderError):
    """It may have been taken or not: held, and never resent by itself."""
