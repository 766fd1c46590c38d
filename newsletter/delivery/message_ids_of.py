"""An issue's Message-IDs, made once in a process: whose is one, without making all of them again.

A Message-ID is a keyed hash and leads nowhere by itself. Of each of an issue's, eight bytes of a
hash and eight of the reader's number are kept: 16 MB for a million, of so many issues.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable
from hashlib import blake2b
from threading import Lock
from typing import Final, NamedTuple

MAX_ISSUES: Final = 3  # the newest: of others hardly anything is told any more


class _Made(NamedTuple):
    """Hashes in order, and the readers beside them."""

    hashes: array[int]
    readers: array[int]


_kept: OrderedDict[Hashable, _Made] = OrderedDict()
_lock = Lock()  # one at a time: who waits finds what the other made


def readers(
    known_as: Hashable,
    message_ids: Collection[str],
    message_id_of: Callable[[int], str],
    ids: Callable[[], Iterable[int]],
) -> dict[str, int]:
    """Reader by Message-ID; who is nobody's is left out.

    known_as: stands for the issue, its deliveries and message_id_of. ids: its readers, asked for
    where nothing is kept yet. Each that is found is made again, so no two are mistaken.
    """
    with _lock:
        made = _kept.get(known_as)
        if made is None:
            made = _kept[known_as] = _make(message_id_of, ids())
        _kept.move_to_end(known_as)
        while len(_kept) > MAX_ISSUES:
            _kept.popitem(last=False)
    found: dict[str, int] = {}
    for message_id in message_ids:
        hashed = _hash(message_id)
        at = bisect_left(made.hashes, hashed)
        while at < len(made.hashes) and made.hashes[at] == hashed:
            if message_id_of(made.readers[at]) == message_id:
                found[message_id] = made.readers[at]
            at += 1
    return found


def _make(message_id_of: Callable[[int], str], ids: Iterable[int]) -> _Made:
    # One number for both while they are put in order: half the memory of pairs.
    both = sorted(_hash(message_id_of(id_)) << 64 | id_ for id_ in ids)
    return _Made(array("Q", (one >> 64 for one in both)), array("Q", (one & _LOW for one in both)))


_LOW: Final = (1 << 64) - 1


def _hash(message_id: str) -> int:
    digest = blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest)
