"""What every provider is given and what it answers.

A provider joins a mailing and an envelope in its own way (spliced bytes, or substitutions); it
raises TransientError, PermanentError or UncertainError and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What a provider answered for one message."""

    SUBMITTED = "submitted"  # it has the message
    DEFERRED = "deferred"  # not now: try again later
    BOUNCED = "bounced"  # its recipient was refused for good
    FAILED = "failed"  # the message was refused for good
    UNCERTAIN = "uncertain"  # no answer, it may have it


class Evidence(StrEnum):
    """What a provider knows afterwards of a message whose answer was lost."""

    TAKEN = "taken"
    NOT_TAKEN = "not_taken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One reader's address and slot values for one mailing.

    key: what the ledger calls it, opaque here. message_id: without angle brackets, the same on
    every attempt. slots: values by slot name (`rendering.slots.Slot`). bounce_to: the address in
    which the message's bounces name it (the sender of SMTP's MAIL); "" for the provider's own.
    is_tracked: False for who gets the mailing without pixel and with plain links.
    """

    key: int
    address: str
    name: str
    message_id: str
    slots: Mapping[str, str]
    bounce_to: str = ""
    is_tracked: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's answer for one envelope.

    detail: of a message submitted, the provider's own id of that one message, or empty (two
    deliveries with one id count as a duplicate in a proof); otherwise the reason.
    """

    key: int
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A mailing for providers that join mail and reader themselves, by replacing tokens.

    sender, reply_to: mailboxes as in a header; reply_to may be "". html, text: with the slots'
    tokens in them, which differ between the two. headers: the same for every reader.
    tokens: what each token of html and text becomes for one reader, escaped for its part.
    own_headers: one reader's headers, such as List-Unsubscribe.
    """

    sender: str
    reply_to: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]
    tokens: Callable[[Envelope], Mapping[str, str]]
    own_headers: Callable[[Envelope], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Mailing:
    """A compiled issue or system mail; `folder` is its place in an outbox: `2026-W48`, `system`.

    untracked: the content for envelopes that are not tracked; None where there is but one.
    """

    folder: str
    splice: Callable[[Envelope], bytes]  # a whole RFC 5322 message, CRLF lines
    content: Content
    untracked: Content | None = None

    def by_content(self, envelopes: Iterable[Envelope]) -> list[tuple[Content, list[Envelope]]]:
        """Who gets which content, in the order given; for who joins mail and reader itself."""
        if self.untracked is None:
            return [(self.content, list(envelopes))]
        groups: dict[bool, list[Envelope]] = {True: [], False: []}
        for envelope in envelopes:
            groups[envelope.is_tracked].append(envelope)
        both = ((self.content, groups[True]), (self.untracked, groups[False]))
        return [(content, group) for content, group in both if group]


class AttemptLog(Protocol):
    """Where a provider says what is about to leave, before it does: it outlives the process.

    What was said here and got no receipt may have been taken; what was not said here was not. Both
    raise TransientError where it cannot be kept: then the messages must not leave.
    """

    def attempting(self, keys: Sequence[int]) -> None:
        """The last octet of each of these messages may leave from now on."""
        ...

    def request(self, keys: Sequence[int]) -> str:
        """The same of messages that leave together; the id of their request, to be sent along.

        An event that brings the id back proves that the provider has all of them.
        """
        ...


class Unlogged:
    """For messages whose attempt is on record elsewhere (system mails), or never counts."""

    def attempting(self, keys: Sequence[int]) -> None:
        """Nothing is kept."""

    def request(self, keys: Sequence[int]) -> str:
        return ""


class Provider(Protocol):
    """Takes messages. at_once: how many it wants in one call, at most."""

    name: str
    at_once: int

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterable[Receipt]:
        """Hands over each envelope's message and yields a receipt for each, in any order.

        A receipt is yielded before the next message leaves by the same way, so that what has no
        receipt is never more than what is on the wire. Raises TransientError or PermanentError when
        nothing more of this call was taken than it has yielded receipts for, UncertainError when
        some of the rest may have been.
        """
        ...

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> Mapping[int, Evidence]:
        """What became of messages that were attempted and never answered, by envelope key."""
        ...
