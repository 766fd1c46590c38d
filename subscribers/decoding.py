"""Which encoding a list is in, found by reading all of it once, a piece at a time.

Known by their marks: UTF-8, UTF-16 and UTF-32. Without one: UTF-16 by the NUL in every second byte,
else UTF-8 where all of it is, else Windows-1252, which is what Excel on Windows calls CSV.
"""

from __future__ import annotations

import codecs
import io
import os
from typing import BinaryIO

from subscribers.errors import ImportRefusedError

MAX_FILE_BYTES = 1024 * 1024 * 1024  # some ten million rows; a larger list is imported in parts

_PIECE_BYTES = 1024 * 1024
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_AS_UTF8 = "save the list as CSV in UTF-8 and import that"


def open_text(stream: BinaryIO) -> io.TextIOWrapper:
    """The text of a seekable stream from its beginning, line ends as they are.

    Raises ImportRefusedError for a stream over MAX_FILE_BYTES, before a byte of it is read, and for
    one that no encoding fits.
    """
    _refuse_the_oversized(stream)
    encoding = _encoding_of(stream)
    stream.seek(0)
    return io.TextIOWrapper(stream, encoding=encoding, newline="")


def size_bytes(stream: BinaryIO) -> int:
    """How long a seekable stream is; it is left at its beginning."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def _refuse_the_oversized(stream: BinaryIO) -> None:
    size = size_bytes(stream)
    if size > MAX_FILE_BYTES:
        raise ImportRefusedError(
            f"the list has {size:,} bytes, more than {MAX_FILE_BYTES:,}",
            hint="split it and import the parts; what is already on the list is left as it is",
        )


def _encoding_of(stream: BinaryIO) -> str:
    known = _marked(stream.read(16))
    if known:
        if not _fits(stream, known):
            raise ImportRefusedError(f"the list begins like {known} but is damaged", hint=_AS_UTF8)
        return known
    for encoding in ("utf-8", "cp1252"):
        if _fits(stream, encoding):
            return encoding
    raise ImportRefusedError("the list is neither UTF-8, UTF-16 nor Windows-1252", hint=_AS_UTF8)


def _marked(start: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    # UTF-16 without a mark: every second byte of the column names is NUL.
    if len(start) >= 4 and not any(start[1::2]) and all(start[::2]):
        return "utf-16-le"
    if len(start) >= 4 and not any(start[::2]) and all(start[1::2]):
        return "utf-16-be"
    return ""


def _fits(stream: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    stream.seek(0)
    try:
        while piece := stream.read(_PIECE_BYTES):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
