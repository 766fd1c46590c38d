"""What is said of a send under way: the rate of late, the time left, what limits it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from datetime import UTC, datetime

import pytest

from newsletter.cli.progress import SendProgress, lasting
from newsletter.delivery.watch import Progress

LIMIT = "10 messages a second (NEWSLETTER_RATE_PER_SECOND)"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(captured: pytest.CaptureFixture[str]) -> list[str]:
    return captured.readouterr().err.splitlines()


def test_a_pipe_is_told_how_far_how_fast_how_long_and_what_limits_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with SendProgress() as show:
        show(Progress(remaining=1_000, in_hand=250, per_second=10.0, limited_by=LIMIT))
    assert lines(capsys) == [
        f"250 of 1,000 answered for, 10/s, 1 min left; limited by {LIMIT}",
    ]


def test_a_pipe_gets_a_line_every_few_seconds_and_the_last_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with SendProgress(clock=clock) as show:
        for second in range(12):
            clock.now = float(second)
            show(Progress(remaining=100 - second, submitted=second, per_second=1.0))
    said = [line.partition(" ")[0] for line in lines(capsys)]
    assert said == ["0", "5", "10", "11"]


def test_a_wait_for_later_is_told_with_its_end_and_no_guess_at_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    later = datetime(2026, 11, 24, 14, 5, tzinfo=UTC)
    with SendProgress() as show:
        show(Progress(remaining=5, submitted=50, per_second=2.5, limited_by="x", goes_on_at=later))
    assert lines(capsys) == [
        "50 of 55 answered for, 2.5/s; limited by x, goes on at 2026-11-24 14:05 UTC",
    ]


def test_what_was_given_back_is_left_and_what_others_did_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with SendProgress(clock=clock) as show:
        show(Progress(remaining=100))
        clock.now = 9.0
        show(Progress(remaining=40, submitted=20, bounced=5, deferred=7))
    assert [line.split(" answered")[0] for line in lines(capsys)] == ["0 of 100", "60 of 100"]


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with SendProgress(silent=True) as show:
        show(Progress(remaining=1))
    assert lines(capsys) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"), (59.9, "59 s"), (60, "1 min"), (3_569, "59 min"), (3_590, "1 h 00 min"),
        (7_500, "2 h 05 min"), (90_000, "1 day 1 h"), (3 * 86_400 + 14_400, "3 days 4 h"),
    ],
)  # fmt: skip
def test_a_time_left_is_in_the_two_words_that_matter(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def on_a_terminal(show_all: list[Progress], *, columns: int) -> str:
    """What a terminal of that width is sent."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    stderr, sys.stderr = sys.stderr, os.fdopen(follower, "w")
    try:
        with SendProgress() as show:
            for progress in show_all:
                show(progress)
    finally:
        sys.stderr.close()
        sys.stderr = stderr
    shown = b""
    try:
        while part := os.read(leader, 65_536):
            shown += part
    except OSError:  # EIO: the other end is closed and everything was read
        pass
    os.close(leader)
    return shown.decode()


def test_on_a_terminal_the_widest_numbers_fit_eighty_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    widest = Progress(
        remaining=9_000_000, submitted=1_234_567, per_second=12_345.6, limited_by=LIMIT
    )
    shown = on_a_terminal([widest], columns=80)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    last = [line.rstrip() for line in plain.replace("\r", "\n").splitlines() if line.strip()]
    assert all(len(line) < 80 for line in last)
    assert "1,234,567 of 10,234,567 12,346/s, 12 min left" in last[-2]
    assert last[-1] == f"limited by {LIMIT}"
