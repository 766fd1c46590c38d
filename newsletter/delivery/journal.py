"""What is about to leave, said before it does: a file for each claim, which outlives its sender.

Between the two commits of a batch the store knows nothing of its messages. What is written here
survives the death of the process without waiting for the disk (write(2) reaches the kernel), so
whoever takes the batch over on the same boot knows each message's fate but for those that were on
the wire: attempted, and not answered. After a crash of the whole machine, on another machine, or
while an owner may still be alive, what is missing here proves nothing; what is here still holds.

A line is `A 17 18` (about to leave), `R [17, "submitted", ...]` (answered: an `Answer`) or `T` and
an instant, that of the lines after it. The room for it is taken before the first message leaves,
so a disk that fills up strikes earlier.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from newsletter.delivery.ledger import Answer, Claim
from newsletter.delivery.owner import Owner
from newsletter.errors import TransientError
from newsletter.store.states import DeliveryState

RESERVED_BYTES: Final = 320  # a delivery: its attempt and its answer, with their instants
_HEADER_BYTES: Final = 1_024
_quoted = json.encoder.encode_basestring_ascii  # a JSON string, at a fifth of what an encoder costs


class Journal:
    """The file of one claim, open for its sender alone."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._end = 0
        self._unwritten: list[str] = []
        self._at: datetime | None = None  # of the last line

    @classmethod
    def begin(cls, folder: Path, claim: Claim) -> Journal:
        """Makes the file, with room for all of the claim; raises TransientError where it cannot."""
        path = _path(folder, claim.batch_id, claim.epoch)
        room = _HEADER_BYTES + RESERVED_BYTES * (len(claim.fresh) + len(claim.unanswered))
        descriptor = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.posix_fallocate(descriptor, 0, room)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
                path.unlink(missing_ok=True)
            raise _unwritable(error) from error
        journal = cls(path, descriptor)
        header = {"owner": claim.owner, "is_fresh": claim.is_fresh, "left_by": claim.left_by}
        try:
            journal._write(json.dumps(header) + "\n")
        except TransientError:
            journal.discard()
            raise
        return journal

    def attempting(self, keys: Sequence[int], at: datetime | None = None) -> None:
        """These may leave from now on. Raises TransientError where that cannot be written."""
        self._date(at)
        self._unwritten.append(f"A {' '.join(map(str, keys))}\n")
        self._write("".join(self._unwritten))
        self._unwritten.clear()

    def answered(self, answer: Answer) -> None:
        """Written with the next attempt, at the latest: until then it is on the wire to us, too."""
        self._date(answer.at)
        said = ",".join(map(_quoted, (answer.state, answer.reason, answer.receipt)))
        self._unwritten.append(f"R [{answer.subscriber_id},{said},{int(answer.tried)}]\n")

    def _date(self, at: datetime | None) -> None:
        if at != self._at:
            self._unwritten.append(f"T {at.isoformat() if at else ''}\n")
            self._at = at

    def close(self) -> None:
        """Leaves the file to whoever takes the batch over."""
        if self._descriptor < 0:
            return
        try:
            if self._unwritten:
                self._write("".join(self._unwritten))
        except TransientError:  # no room: what it would have said is uncertain then, and held
            pass
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """The store knows all of it by now."""
        self._unwritten.clear()
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, said: str) -> None:
        data = said.encode("ascii")
        try:
            written = os.pwrite(self._descriptor, data, self._end)
        except OSError as error:
            raise _unwritable(error) from error
        if written < len(data):  # no room: the next write overwrites what is torn
            raise _unwritable(OSError("no space is left for it"))
        self._end += written


@dataclass(slots=True)
class Recovered:
    """What the journals of earlier claims say of a batch.

    is_whole: whether every claim since the batch was last finished left its journal, on this boot,
    and its owner is dead: then what is neither attempted nor answered never left. attempted_at: of
    those attempted, when, where it says so. at: of the next line.
    """

    is_whole: bool = False
    attempted: set[int] = field(default_factory=set)
    attempted_at: dict[int, datetime | None] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    at: datetime | None = None


def recover(folder: Path, claim: Claim, observer: Owner) -> Recovered:
    """Reads what the earlier owners of a batch left.

    Each by its name: a file of this epoch may be of a claim that was never committed, while the one
    that was had its journal in another home on the same store.
    """
    found: list[tuple[Mapping[str, Any], list[str]]] = []
    left_by = claim.left_by
    for epoch in range(claim.epoch - 1, 0, -1):
        read = _read(_path(folder, claim.batch_id, epoch))
        if read is None or (left_by and read[0].get("owner") != left_by):
            break
        found.append(read)
        left_by = str(read[0].get("left_by", ""))
        if read[0].get("is_fresh"):
            break
    recovered = Recovered(is_whole=bool(found) and bool(found[-1][0].get("is_fresh")))
    for header, lines in reversed(found):  # the newest has the last word
        owner = Owner.parse(str(header.get("owner")))
        if owner is None or not owner.is_known_dead_to(observer):
            recovered.is_whole = False
        recovered.at = None  # a journal of before there were instants says none
        for line in lines:
            _take(recovered, line)
    return recovered


def discard_older(folder: Path, claim: Claim) -> None:
    """Removes what earlier owners left, once the store knows all of it."""
    for epoch in range(claim.epoch - 1, 0, -1):
        path = _path(folder, claim.batch_id, epoch)
        if not path.exists():
            return
        path.unlink(missing_ok=True)


def _take(recovered: Recovered, line: str) -> None:
    kind, _, said = line.partition(" ")
    if kind == "T":
        recovered.at = datetime.fromisoformat(said) if said else None
    elif kind == "A":
        keys = [int(key) for key in said.split()]
        recovered.attempted.update(keys)
        recovered.attempted_at.update(dict.fromkeys(keys, recovered.at))
        for key in keys:
            recovered.answers.pop(key, None)
    elif kind == "R":
        key, state, reason, receipt, tried = json.loads(said)
        recovered.attempted.discard(key)
        answer = Answer(
            key, DeliveryState(state), reason, receipt, tried=bool(tried), at=recovered.at
        )
        recovered.answers[key] = answer


def _read(path: Path) -> tuple[Mapping[str, Any], list[str]] | None:
    """Header and lines; None where there is no file, or not as much as a header."""
    try:
        text = path.read_bytes().rstrip(b"\0").decode("ascii")
    except (OSError, ValueError):
        return None
    header, *lines = _whole_lines(text) or [""]
    try:
        return json.loads(header), lines
    except ValueError:
        return None


def _whole_lines(text: str) -> list[str]:
    """Without a torn last line: whatever it would have said had not happened yet."""
    return list(_until_damage(text.split("\n")[:-1]))


def _until_damage(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            return
        yield line


def _path(folder: Path, batch_id: int, epoch: int) -> Path:
    return folder / f"{batch_id}-{epoch}.journal"


def _unwritable(error: OSError) -> TransientError:
    return TransientError(
        f"the journal of what leaves cannot be written: {error.strerror or error}",
        hint="free disk space and make NEWSLETTER_HOME/journals writable, then run the same "
        "command again: it goes on where it stopped",
    )
