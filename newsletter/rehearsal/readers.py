"""Invented readers for rehearsals: names in many scripts, addresses nobody can have (RFC 2606)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

DOMAIN: Final = "example.com"

_GIVEN = (
    "Ada", "Bjørk", "Chloé", "Дарья", "Ελένη", "Fatoumata", "გიორგი", "Hüseyin", "Ioana", "Jiří",
    "कमला", "Łucja", "מרים", "Nguyệt", "Óscar", "陽子", "سلمى", "Þóra", "Ülo", "지우", "",
)  # fmt: skip
_FAMILY = (
    "Abara", "Brânză", "Çelik", "Đặng", "Eze-Smith", "Ferrão", "Григоренко", "Håkansson", "O'Shea",
    "吉田", "김", "Ñuflo", "Παπάς", "שלום", "Šimek", "طاهر", "von der Au",
)  # fmt: skip


def invented(count: int) -> Iterator[tuple[str, str]]:
    """`count` readers as (name, address), no address twice; some give no name."""
    for number in range(count):
        given = _GIVEN[number % len(_GIVEN)]
        family = _FAMILY[number % len(_FAMILY)] if given else ""
        yield f"{given} {family}".strip(), f"reader.{number + 1}@{DOMAIN}"


def rows(count: int, now: datetime) -> list[dict[str, Any]]:
    """The same as rows of `subscriber`: confirmed and active."""
    return [
        {
            "id": number,
            "address": address,
            "address_key": address,
            "name": name,
            "status": "active",
            "created_at": now,
            "confirmed_at": now,
            "confirmations_sent": 1,
        }
        for number, (name, address) in enumerate(invented(count), start=1)
    ]
