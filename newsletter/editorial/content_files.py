"""Reading an editor's file: bytes to text, and a comparison's text to front matter and body."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from newsletter.editorial.content_text import forbidden_character
from newsletter.errors import ContentError, Problem

MAX_BYTES = 256 * 1024
MAX_FRONT_CHARS = 32 * 1024  # YAML is read slowly: this much takes a second at the worst
_FENCE = "---"
_MOST_LINES_TOLD = 20


@dataclass(frozen=True, slots=True)
class Parts:
    """Front matter and body, and the line at which each begins."""

    front: str
    front_line: int
    body: str
    body_line: int


def read_text(path: Path) -> str:
    """The text of `path`, lines ended by `\\n`. Raises ContentError where it is not plain text.

    At most 256 KB of UTF-8. A byte-order mark and Windows line ends are taken off.
    """
    raw = _read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refusal(path, "is not UTF-8", "save it as UTF-8", line=line) from error
    text = text.replace("\r\n", "\n")
    if problems := _odd_lines(text, path):
        raise ContentError(problems)
    return text


def split_front(text: str, path: Path) -> Parts:
    """Front matter between two lines of `---`, and the body. Raises ContentError without them."""
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        raise _refusal(path, "does not begin with front matter", "make the first line `---`")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if end is None:
        raise _refusal(path, "the front matter does not end", "close it with a line of `---`")
    front, body = "\n".join(lines[1:end]), "\n".join(lines[end + 1 :])
    if len(front) > MAX_FRONT_CHARS:
        raise _refusal(path, "has over 32 KB of front matter", "shorten it: 3 KB is usual")
    return Parts(front=front, front_line=2, body=body, body_line=end + 2)


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():  # a pipe or a device would be read without end
        hint = "name a file that exists" if not path.exists() else "name a plain file"
        raise _refusal(path, "is not a file", hint)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise _refusal(path, what, "make it readable for the user who runs this") from error
    if len(raw) > MAX_BYTES:
        raise _refusal(path, "is over 256 KB", "a comparison has about 10; shorten it")
    return raw


def _odd_lines(text: str, path: Path) -> list[Problem]:
    found = ((n, forbidden_character(line)) for n, line in enumerate(text.split("\n"), 1))
    hint = "delete it, or type the line again by hand (spaces instead of tabs)"
    return [Problem(path, n, "text", f"holds {what}", hint) for n, what in found if what][
        :_MOST_LINES_TOLD
    ]


def _refusal(path: Path, what: str, hint: str, *, line: int = 1) -> ContentError:
    return ContentError([Problem(path, line, "file", what, hint)])
