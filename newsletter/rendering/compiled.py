"""Compiled templates, kept for the life of the process: each file is compiled once.

Compiling the mails' templates takes longer than rendering a mail, and a publication's templates,
the bundled ones and those without one of its own are each an environment of their own.
"""

from __future__ import annotations

from types import CodeType
from typing import Final

import jinja2
from jinja2.bccache import Bucket

MOST: Final = 256  # templates; the oldest go first


class CompiledTemplates(jinja2.BytecodeCache):
    """Code by template, file and text, for environments that compile alike.

    Nothing is written anywhere: code from a file is code that somebody else may have put there.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fills the bucket where the same text of the same file was compiled before."""
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps what was just compiled."""
        if bucket.code is not None:
            self._kept[(bucket.key, bucket.checksum)] = bucket.code
            while len(self._kept) > MOST:
                self._kept.pop(next(iter(self._kept)), None)
