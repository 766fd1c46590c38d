"""A mail's parts, found in whatever state they are: for reading reports, not for showing mail.

Many real reports break the rules: a boundary that is not there, a status called text/plain, one
report inside another. So nothing here raises, nothing is looked up by a name the mail gives (a
character set, a codec), and work is bounded: MAX_OCTETS, MAX_PARTS, MAX_DEPTH.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_OCTETS: Final = 2 * 1024 * 1024  # of a mail; a report's parts come before what it returns
MAX_PARTS: Final = 100
MAX_DEPTH: Final = 12
MAX_HEADER_LINES: Final = 500

_HEADER = re.compile(r"([!-9;-~]+)[ \t]*:[ \t]*(.*)")
_BOUNDARY = re.compile(r"boundary\s*=\s*(?:\"([^\"]{1,200})\"|([^\s;\"]{1,200}))", re.IGNORECASE)
_GUESSED = re.compile(rb"^--([^\n]{1,200})\nContent-", re.MULTILINE | re.IGNORECASE)
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_QP = re.compile(rb"=(?:([0-9A-Fa-f]{2})|[ \t]*\n)")
# A whole mail, or its headers alone: what a report sends back, or another report.
_MAILS = ("message/rfc822", "message/global", "message/partial")
_HEADERS_ALONE = ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers")


class Headers(tuple[tuple[str, str], ...]):
    """Names in lower case with their unfolded values, in order."""

    __slots__ = ()

    def every(self, *names: str) -> list[str]:
        """The values of these headers, by the order of `names`."""
        return [value for name in names for key, value in self if key == name]

    def first(self, name: str) -> str:
        return next(iter(self.every(name)), "")

    def as_text(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self)


@dataclass(frozen=True, slots=True)
class Part:
    """One entity. text: decoded, "" of a multipart. is_returned: it lies in a mail sent back."""

    kind: str
    headers: Headers
    text: str
    is_returned: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    octets: bytes
    depth: int
    is_returned: bool


def with_plain_ends(raw: bytes) -> bytes:
    """The mail with LF line ends and without what a mailbox file put before it; cut to size."""
    plain = raw[:MAX_OCTETS].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    return plain.partition(b"\n")[2] if plain.startswith(b"From ") else plain


def parts(raw: bytes) -> list[Part]:
    """The mail itself first, then what lies in it, in order."""
    return list(_walk(with_plain_ends(raw)))


def _walk(octets: bytes) -> Iterator[Part]:
    waiting = [_Piece(octets, 0, is_returned=False)]
    count = 0
    while waiting and count < MAX_PARTS:
        piece = waiting.pop()
        headers, body = _split(piece.octets)
        kind = _kind(headers)
        inner = _inside(kind, headers, body, piece)
        if inner or not kind.startswith(("image/", "audio/", "video/", "font/")):
            count += 1
            text = "" if inner else _text(_decoded(headers, body))
            yield Part(kind, headers, text, piece.is_returned)
        waiting.extend(reversed(inner))


def _inside(kind: str, headers: Headers, body: bytes, piece: _Piece) -> list[_Piece]:
    if piece.depth >= MAX_DEPTH:
        return []
    if kind in _MAILS or kind in _HEADERS_ALONE:
        inner = _decoded(headers, body).lstrip(b"\n")
        return [_Piece(inner, piece.depth + 1, is_returned=True)]
    boundary = _boundary(kind, headers, body)
    if not boundary:
        return []
    pieces = _between(body, boundary)
    return [_Piece(one, piece.depth + 1, piece.is_returned) for one in pieces]


def _boundary(kind: str, headers: Headers, body: bytes) -> bytes:
    """What parts the body; where the header is wrong about it, what the body looks like."""
    declared = _BOUNDARY.search(headers.first("content-type"))
    if declared and kind.startswith("multipart/"):
        boundary = (declared[1] or declared[2] or "").encode("latin-1", "replace")
        if b"--" + boundary in body:
            return boundary
    if not kind.startswith(("multipart/", "text/")):
        return b""
    guessed = _GUESSED.search(body)
    return guessed[1].rstrip() if guessed else b""


def _between(body: bytes, boundary: bytes) -> list[bytes]:
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*$\n?", re.MULTILINE)
    pieces: list[bytes] = []
    start = None
    for mark in line.finditer(body):
        if start is not None:
            pieces.append(body[start : mark.start()])
        start = None if mark[1] else mark.end()
        if len(pieces) >= MAX_PARTS:
            return pieces
    return pieces if start is None else [*pieces, body[start:]]  # the last mark is missing


def _split(octets: bytes) -> tuple[Headers, bytes]:
    """The headers and the rest; a line that is no header ends them, whether blank or not."""
    found: list[tuple[str, str]] = []
    at = 0
    for _ in range(MAX_HEADER_LINES):
        end = octets.find(b"\n", at)
        line = _text(octets[at : end if end >= 0 else len(octets)])
        if not line.strip():
            return Headers(found), octets[end + 1 :] if end >= 0 else b""
        header = _HEADER.fullmatch(line)
        if line[0] in " \t" and found:
            name, value = found[-1]
            found[-1] = (name, f"{value} {line.strip()}")
        elif header:
            found.append((header[1].lower(), header[2].strip()))
        else:
            break
        if end < 0:
            return Headers(found), b""
        at = end + 1
    return Headers(found), octets[at:]


def _kind(headers: Headers) -> str:
    return headers.first("content-type").partition(";")[0].strip().lower() or "text/plain"


def _decoded(headers: Headers, body: bytes) -> bytes:
    encoding = headers.first("content-transfer-encoding").strip().lower()
    if encoding == "base64":
        packed = _NO_BASE64.sub(b"", body)
        packed = packed[: len(packed) - len(packed) % 4] if len(packed) % 4 == 1 else packed
        try:
            decoded = binascii.a2b_base64(packed + b"=" * (-len(packed) % 4))
        except binascii.Error:
            return body
        return decoded.replace(b"\r\n", b"\n")
    if encoding == "quoted-printable":
        return _QP.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"", body)
    return body


def _text(octets: bytes) -> str:
    """What a report says to machines is ASCII, whatever it says about its character set."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
