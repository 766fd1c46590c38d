"""The outbox: one file a message, whole or not at all, never two."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import postroom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import TransientError, UncertainError
from newsletter.providers import outbox as module
from newsletter.providers.base import (
    Envelope,
    Evidence,
    Mailing,
    Outcome,
    Provider,
    Receipt,
    Unlogged,
)
from newsletter.providers.outbox import SYNC_WHOLE_FROM, Outbox


def envelopes(count: int) -> list[Envelope]:
    return [
        Envelope(n, f"reader{n}@example.com", "", postroom.message_id(n), {})
        for n in range(1, count + 1)
    ]


def files(root: Path) -> list[str]:
    """Everything in the week's folder, hidden or not."""
    folder = root / postroom.FOLDER
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """As on a disk that fills up: a write stops short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("count", [1, 3, SYNC_WHOLE_FROM + 1])
def test_each_message_is_one_file_named_by_its_message_id(tmp_path: Path, count: int) -> None:
    outbox: Provider = Outbox(tmp_path)
    receipts = list(outbox.submit(postroom.mailing(), envelopes(count), Unlogged()))
    assert receipts == [
        Receipt(n, Outcome.SUBMITTED, postroom.message_id(n)) for n in range(1, count + 1)
    ]
    assert files(tmp_path) == [f"{postroom.message_id(n)}.eml" for n in range(1, count + 1)]
    for envelope in envelopes(count):
        file = tmp_path / postroom.FOLDER / f"{envelope.message_id}.eml"
        assert file.read_bytes() == postroom.splice(envelope)


def test_a_message_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.submit(postroom.mailing(), envelopes(2), Unlogged())
    again = outbox.submit(postroom.mailing(lambda _: b"another"), envelopes(3), Unlogged())
    assert [receipt.outcome for receipt in again] == [Outcome.SUBMITTED] * 3
    texts = [(tmp_path / postroom.FOLDER / name).read_bytes() for name in files(tmp_path)]
    assert [text == b"another" for text in texts] == [False, False, True]


def test_the_outbox_knows_afterwards_what_it_has(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert set(outbox.evidence(postroom.mailing(), envelopes(2)).values()) == {Evidence.NOT_TAKEN}
    outbox.submit(postroom.mailing(), envelopes(1), Unlogged())
    assert outbox.evidence(postroom.mailing(), envelopes(2)) == {
        1: Evidence.TAKEN,
        2: Evidence.NOT_TAKEN,
    }


NAMES = ["../up", "a/b", "/etc/x", "..", ".hidden", "", "a\\b", "nul\0", "line\n", "x" * 201, "ü@x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_message_id_that_is_no_safe_name_is_refused_and_the_others_go(
    tmp_path: Path, name: str
) -> None:
    bad = Envelope(9, "reader@example.com", "", name, {})
    root = tmp_path / "outbox"
    outbox = Outbox(root)
    receipts = {
        r.key: r.outcome
        for r in outbox.submit(postroom.mailing(), [bad, *envelopes(1)], Unlogged())
    }
    assert receipts == {9: Outcome.FAILED, 1: Outcome.SUBMITTED}
    assert outbox.evidence(postroom.mailing(), [bad]) == {9: Evidence.NOT_TAKEN}
    assert [path.name for path in tmp_path.iterdir()] == ["outbox"]
    assert files(root) == [f"{postroom.message_id(1)}.eml"]


@settings(max_examples=50, deadline=None)  # each writes to the disk
@given(name=st.text(max_size=30))
def test_no_message_id_reaches_out_of_its_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    home = tmp_path_factory.mktemp("home")
    Outbox(home / "outbox").submit(
        postroom.mailing(), [Envelope(1, "reader@example.com", "", name, {})], Unlogged()
    )
    outside = [p for p in home.rglob("*") if p.is_file()]
    assert all(path.parent == home / "outbox" / postroom.FOLDER for path in outside)


@pytest.mark.parametrize("folder", ["../up", "a/b", "", ".", "/tmp"])
def test_a_folder_that_is_no_safe_name_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(TransientError, match="cannot be a folder of the outbox"):
        Outbox(tmp_path).submit(
            Mailing(folder, postroom.splice, postroom.CONTENT), envelopes(1), Unlogged()
        )
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_file_and_says_what_to_do(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    with files_no_larger_than(100), pytest.raises(TransientError, match="cannot write") as refused:
        outbox.submit(postroom.mailing(lambda _: b"x" * 1_000), envelopes(3), Unlogged())
    assert "ulimit" in str(refused.value)
    assert files(tmp_path) == []


def test_what_fitted_before_the_disk_was_full_is_kept_and_the_rest_deferred(
    tmp_path: Path,
) -> None:
    def growing(envelope: Envelope) -> bytes:
        return b"x" * 40 * envelope.key

    outbox = Outbox(tmp_path)
    with files_no_larger_than(100):
        receipts = list(outbox.submit(postroom.mailing(growing), envelopes(4), Unlogged()))
    assert [r.outcome for r in receipts] == [Outcome.SUBMITTED] * 2 + [Outcome.DEFERRED] * 2
    assert "cannot write" in receipts[-1].detail
    assert files(tmp_path) == [f"{postroom.message_id(n)}.eml" for n in (1, 2)]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file stands where the folder should be")
    with pytest.raises(TransientError, match="the outbox cannot write") as refused:
        Outbox(tmp_path / "outbox").submit(postroom.mailing(), envelopes(1), Unlogged())
    assert "writable" in str(refused.value)


def test_an_error_in_making_a_message_leaves_nothing(tmp_path: Path) -> None:
    def make(envelope: Envelope) -> bytes:
        return postroom.splice(envelope) if envelope.key < 3 else b"" + bytes(None)  # type: ignore[arg-type]  # a TypeError

    with pytest.raises(TypeError):
        Outbox(tmp_path).submit(postroom.mailing(make), envelopes(4), Unlogged())
    assert files(tmp_path) == []


def test_names_that_may_not_be_on_the_disk_are_uncertain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path) -> None:
        if path.is_dir():
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "_fsync", failing)
    outbox = Outbox(tmp_path)
    with pytest.raises(UncertainError, match="Input/output error"):
        outbox.submit(postroom.mailing(), envelopes(1), Unlogged())
    assert outbox.evidence(postroom.mailing(), envelopes(1)) == {1: Evidence.TAKEN}


def test_leftovers_of_dead_senders_are_swept_and_those_of_the_living_stay(tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    folder = tmp_path / postroom.FOLDER
    folder.mkdir()
    (folder / f".{postroom.message_id(1)}.{pid}.part").write_bytes(b"half")
    living = folder / f".{postroom.message_id(2)}.{os.getppid()}.part"
    living.write_bytes(b"half")
    Outbox(tmp_path).submit(postroom.mailing(), envelopes(1), Unlogged())
    assert files(tmp_path) == [living.name, f"{postroom.message_id(1)}.eml"]
