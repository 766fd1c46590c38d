"""How many of what, in words. It loads nothing: commands that only print a line import it."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """`1 reader`, `1,000 readers`; many: where an `s` does not make it."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
