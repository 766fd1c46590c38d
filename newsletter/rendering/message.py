"""A rendered mail compiled into a message: everything static is encoded once.

A reader's message is then three header lines and a join of byte strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime

from newsletter.errors import RefusedError
from newsletter.rendering import headers
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import (
    CompiledPart,
    Slot,
    compile_part,
    escape_html,
    escape_text,
)
from newsletter.rendering.view import Publication

_SAMPLE_SLOTS: Mapping[str, str] = dict.fromkeys(Slot, "sample")
_PER_READER = ("To", "Message-ID", "List-Unsubscribe")
_TOKEN = re.compile(r"[!-+\--;=?-~]+")  # printable ASCII but for blank, comma, < and >
FOLD = ",\r\n "  # between the entries of a header, never inside one


@dataclass(frozen=True, slots=True)
class Fill:
    """Where a slot's value goes: `places` index the pieces of the message."""

    part: CompiledPart
    slot: Slot
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompiledMessage:
    """What all readers of a mailing share, ready to be joined with what differs.

    pieces: the whole message; the first is a reader's own header lines, those named by `fills`
    are a reader's values. way_out: the mailto entry of List-Unsubscribe, without the reader's
    token that ends it, or "". is_list: whether the mail belongs to the list (an issue) at all.
    shared: the headers beyond the usual ones, by name and unfolded, for a provider that writes the
    message itself.
    """

    pieces: tuple[bytes, ...]
    fills: tuple[Fill, ...]
    way_out: str
    is_list: bool
    shared: Mapping[str, str]

    def own_headers(self, unsubscribe_url: str) -> dict[str, str]:
        """One reader's headers beyond the usual ones, unfolded."""
        if not self.is_list:
            return {}
        url = _token(unsubscribe_url, "unsubscribe URL")
        token = url.rpartition("/")[2]
        by_mail = f", <{self.way_out}%20{token}>" if self.way_out else ""
        return {"List-Unsubscribe": f"<{url}>{by_mail}"}

    def splice(
        self,
        *,
        address: str,
        name: str,
        message_id: str,
        slots: Mapping[str, str],
        unsubscribe_url: str = "",
    ) -> bytes:
        """One reader's whole message: RFC 5322, CRLF lines, ASCII only.

        address: in its wire form. name: for To; left out where it cannot stand in a header.
        message_id: without angle brackets. slots: a value for each `Slot` the templates use.
        unsubscribe_url: where a one-click POST goes; needed for an issue. Raises RefusedError
        where a value is missing or not usable.
        """
        pieces = list(self.pieces)
        pieces[0] = self._own_lines(address, name, message_id, unsubscribe_url)
        for fill in self.fills:
            value = slots.get(fill.slot)
            if value is None:
                raise _no_value(fill.slot)
            chunk = fill.part.encode(value)
            for place in fill.places:
                pieces[place] = chunk
        return b"".join(pieces)

    def _own_lines(self, address: str, name: str, message_id: str, unsubscribe_url: str) -> bytes:
        to = headers.mailbox(name, headers.wire_address(address))
        own = f"To: {to}\r\nMessage-ID: <{_token(message_id, 'Message-ID')}>\r\n"
        for header, value in self.own_headers(unsubscribe_url).items():
            own += f"{header}: {value.replace(', ', FOLD)}\r\n"
        return own.encode("ascii")


def compile_message(
    rendered: RenderedIssue,
    publication: Publication,
    *,
    date: datetime,
    kind: str,
    week: str | None = None,
    issue_id: int | None = None,
) -> CompiledMessage:
    """Compiles a mail, and proves on a sample that it parses to what was meant.

    date: aware; the same for all readers. kind: `weekly`, or a system mail's. week, issue_id: of
    an issue; without them the mail is a system mail: auto-generated, and not of the list. Raises
    RefusedError where a subject or name could smuggle in a header.
    """
    is_list = issue_id is not None and week is not None
    boundary = f"=_{rendered.sha256[:40]}"
    lines = [
        headers.sender_line(publication),
        headers.subject_line(rendered.subject),
        headers.literal("Date", format_datetime(date)),
        headers.literal("MIME-Version", "1.0"),
    ]
    if publication.reply_to:
        lines.append(headers.reply_to_line(publication))
    if issue_id is not None and week is not None:
        extra = _list_lines(publication, issue_id=issue_id, week=week, kind=kind)
    else:
        extra = [headers.literal("Auto-Submitted", "auto-generated")]
    lines += extra
    lines.append(
        headers.literal("Content-Type", f'multipart/alternative;\r\n boundary="{boundary}"'),
    )
    mailto = headers.mailto(publication.unsubscribe_mailto)
    pieces, fills = _assemble(
        boundary,
        b"".join(lines),
        compile_part(rendered.text, escape_text),
        compile_part(rendered.html, escape_html),
    )
    compiled = CompiledMessage(
        pieces=pieces,
        fills=fills,
        way_out=f"{mailto}?subject=unsubscribe" if mailto else "",
        is_list=is_list,
        shared=dict(map(_unfolded, extra)),
    )
    _prove(compiled, rendered, lines)
    return compiled


def _unfolded(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("ascii").partition(":")
    return name, " ".join(value.split())


def _list_lines(
    publication: Publication,
    *,
    issue_id: int,
    week: str,
    kind: str,
) -> list[bytes]:
    lines = [
        headers.literal("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        headers.feedback_id_line(publication, issue_id=issue_id, week=week, kind=kind),
    ]
    if publication.list_id:
        lines.append(headers.list_id_line(publication))
    return lines


def _assemble(
    boundary: str,
    head: bytes,
    text: CompiledPart,
    html: CompiledPart,
) -> tuple[tuple[bytes, ...], tuple[Fill, ...]]:
    """The message in pieces, and where values go in them."""
    pieces = [b"", head + _part_head(boundary, "plain"), *text.pieces()]
    text_start = 2
    pieces.append(_part_head(boundary, "html"))
    html_start = len(pieces)
    pieces += [*html.pieces(), f"\r\n--{boundary}--\r\n".encode()]
    fills = tuple(
        Fill(part, slot, tuple(start + place for place in part.places(slot)))
        for part, start in ((text, text_start), (html, html_start))
        for slot in Slot
        if slot in part.slots
    )
    return tuple(pieces), fills


def _no_value(slot: Slot) -> RefusedError:
    return RefusedError(
        f"a message needs a value for the slot {slot.value!r}",
        hint="give every envelope of this mailing a value for it, even an empty one",
    )


def _part_head(boundary: str, subtype: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\n"
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()


def _token(value: str, what: str) -> str:
    """A value that stands between angle brackets in a header."""
    if not _TOKEN.fullmatch(value):
        raise RefusedError(
            f"{value!r} cannot be the {what} of a message",
            hint="give one that is plain ASCII without blanks, commas and angle brackets",
        )
    return value


def _prove(compiled: CompiledMessage, rendered: RenderedIssue, lines: list[bytes]) -> None:
    """Parses a sample strictly; raises RefusedError where it is not what was meant."""
    raw = compiled.splice(
        address="sample@example.com",
        name="Priya",
        message_id="sample@example.com",
        slots=_SAMPLE_SLOTS,
        unsubscribe_url="https://example.com/unsubscribe/tokenB",
    )
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)
    meant = [*_PER_READER[: 3 if compiled.is_list else 2]]
    meant += [line.partition(b":")[0].decode() for line in lines]
    faults = [str(defect) for part in message.walk() for defect in part.defects]
    faults += [str(defect) for _, value in message.items() for defect in value.defects]
    if list(message.keys()) != meant:
        faults.append(f"the headers came out as {', '.join(message.keys())}")
    if message["Subject"] != rendered.subject:
        faults.append(f"the subject came out as {str(message['Subject'])!r}")
    if faults:
        raise RefusedError(
            f"the message would not be what was meant: {'; '.join(faults)}",
            hint="simplify the subject and the publication's names",
        )
