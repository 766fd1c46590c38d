"""The two stages, spoken to byte by byte: each fault, and the log written before a reply."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from newsletter.rehearsal import stage, supervisor
from newsletter.rehearsal.faults import Faults, chance
from newsletter.rehearsal.stage_log import StageLog
from newsletter.rehearsal.supervisor import Plan
from newsletter.rehearsal.zygote import Zygote

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

READER = "reader.1@example.com"
MESSAGE = f"To: {READER}\r\nMessage-ID: <m1@example.com>\r\n\r\n..a dotted line\r\n".encode()
ENVELOPE = f"MAIL FROM:<news@example.com>\r\nRCPT TO:<{READER}>\r\n".encode()
MESSAGE_ID = "m1@example.com"


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with Zygote(tmp_path_factory.mktemp("zygote")) as warm:
        yield warm


def _plan(provider: str, faults: str, seed: int = 1, *, chunking: bool = True) -> Plan:
    return Plan(1, Faults.parse(faults), 0, 1, provider, seed, chunking)


def _log(folder: Path) -> list[tuple[str, str, str]]:
    lines = StageLog.read(folder / stage.LOG).lines
    return [(line.what, line.message_id, line.reader) for line in lines]


def _seed_where(key: str, *, heads: bool) -> int:
    """A seed whose coin for the first attempt falls so."""
    return next(seed for seed in range(99) if (chance(seed, "coin", key, 0) < 0.5) is heads)


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def _all(connection: socket.socket) -> str:
    """Everything until it hangs up; a reset is that, too."""
    data = b""
    try:
        while more := connection.recv(65_536):
            data += more
    except ConnectionResetError:
        pass
    return data.decode()


def _data(connection: socket.socket) -> str:
    """One message by DATA, then QUIT; every reply but that to QUIT."""
    stuffed = MESSAGE.replace(b"\r\n.", b"\r\n..")
    connection.sendall(b"EHLO here\r\n" + ENVELOPE + b"DATA\r\n" + stuffed + b".\r\nQUIT\r\n")
    return _all(connection).partition("250 ENHANCEDSTATUSCODES\r\n")[2]


def _bdat(connection: socket.socket) -> str:
    first, last = MESSAGE[:10], MESSAGE[10:]
    chunks = b"BDAT 10\r\n%bBDAT %d LAST\r\n%b" % (first, len(last), last)
    connection.sendall(b"EHLO here\r\n" + ENVELOPE + chunks + b"QUIT\r\n")
    return _all(connection).partition("250 CHUNKING\r\n")[2]


def _codes(said: str) -> list[str]:
    return [line[:3] for line in said.splitlines()]


@contextmanager
def _smtp(zygote: Zygote, folder: Path, faults: str, seed: int = 1, **more: Any) -> Iterator[int]:
    with supervisor.staged(zygote, folder, _plan("smtp", faults, seed, **more)) as port:
        yield port


def test_a_message_is_accepted_by_data_and_by_chunks_and_is_in_the_log(
    zygote: Zygote, tmp_path: Path
) -> None:
    with _smtp(zygote, tmp_path, "none") as port, _connected(port) as connection:
        assert _codes(_bdat(connection)) == ["250", "250", "250", "250", "221"]
    assert _log(tmp_path) == [("accepted", MESSAGE_ID, READER)]


def test_chunks_are_not_offered_where_they_are_not_wanted(zygote: Zygote, tmp_path: Path) -> None:
    with _smtp(zygote, tmp_path, "none", chunking=False) as port:
        with _connected(port) as connection:
            assert _codes(_data(connection)) == ["250", "250", "354", "250", "221"]
        with _connected(port) as connection:
            connection.sendall(b"BDAT 0 LAST\r\nQUIT\r\n")
            assert "500 5.5.2" in _all(connection)


REFUSALS = [
    ("bounce=100%", 1, "550 5.1.1", ["250", "550", "554", "554", "221"]),
    ("429=100%", 1, "421 4.7.0", ["250", "421"]),
    ("4xx=100%", _seed_where(READER, heads=True), "451 4.2.1", ["250", "451", "554", "554", "221"]),
    (
        "4xx=100%",
        _seed_where(READER, heads=False),
        "451 4.3.0",
        ["250", "250", "250", "451", "221"],
    ),
    ("5xx=100%", 1, "554 5.7.1", ["250", "250", "250", "554", "221"]),
]


@pytest.mark.parametrize(("faults", "seed", "says", "codes"), REFUSALS)
def test_a_refusal_over_smtp_accepts_nothing_and_is_in_the_log(
    zygote: Zygote, tmp_path: Path, faults: str, seed: int, says: str, codes: list[str]
) -> None:
    with _smtp(zygote, tmp_path, faults, seed) as port, _connected(port) as connection:
        said = _bdat(connection)
    assert says in said
    assert _codes(said) == codes
    assert [what for what, _, _ in _log(tmp_path)] == [faults.partition("=")[0]]


@pytest.mark.parametrize("heads", [True, False])
def test_a_drop_hangs_up_before_accepting_or_after(
    zygote: Zygote, tmp_path: Path, heads: bool
) -> None:
    seed = _seed_where(READER, heads=heads)
    with _smtp(zygote, tmp_path, "drop=100%", seed) as port, _connected(port) as connection:
        assert _codes(_bdat(connection))[3:] == []
    accepted = [] if heads else [("accepted", MESSAGE_ID, READER)]
    assert _log(tmp_path) == [("drop", MESSAGE_ID, READER), *accepted]


def test_a_time_out_accepts_and_never_answers(zygote: Zygote, tmp_path: Path) -> None:
    with _smtp(zygote, tmp_path, "timeout=100%") as port, _connected(port) as connection:
        connection.sendall(b"EHLO here\r\n" + ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\n")
        _wait_until(lambda: len(_log(tmp_path)) == 2)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            _all(connection)
    assert [what for what, _, _ in _log(tmp_path)] == ["timeout", "accepted"]


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_what_is_in_the_connection_when_a_stage_ends_still_counts(
    zygote: Zygote, tmp_path: Path
) -> None:
    """A killed sender's messages may be accepted after its death."""
    with _smtp(zygote, tmp_path, "slow=100%") as port, _connected(port) as connection:
        one = ENVELOPE + b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE)
        assert connection.recv(4) == b"220 "
        connection.sendall(one * 3)
        connection.close()
    assert [what for what, _, _ in _log(tmp_path)] == ["slow", "accepted"] * 3


# SendGrid.


def _payload(*numbers: int) -> bytes:
    people = [
        {"to": [{"email": f"reader.{n}@example.com"}], "headers": {"Message-ID": f"<m{n}@x.org>"}}
        for n in numbers
    ]
    return json.dumps({"personalizations": people}).encode()


def _post(port: int, body: bytes) -> tuple[int, str]:
    """The status and the whole answer; 0 where there was none."""
    head = f"POST /v3/mail/send HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
    with _connected(port) as connection:
        connection.sendall(head.encode() + body)
        said = _all(connection)
    return (int(said.split(" ")[1]) if said else 0), said


KEY = "m1@x.org"
BOTH = ["accepted", "accepted"]
REQUESTS = [
    ("none", 1, 202, BOTH),
    ("429=100%", 1, 429, ["429", "429"]),
    ("4xx=100%", 1, 503, ["4xx", "4xx"]),
    ("5xx=100%", _seed_where(KEY, heads=True), 500, ["5xx", "5xx", *BOTH]),
    ("5xx=100%", _seed_where(KEY, heads=False), 502, ["5xx", "5xx"]),
    ("drop=100%", _seed_where(KEY, heads=True), 0, ["drop", "drop"]),
    ("drop=100%", _seed_where(KEY, heads=False), 0, ["drop", "drop", *BOTH]),
    ("slow=100%", 1, 202, ["slow", "slow", *BOTH]),
]


@pytest.mark.parametrize(("faults", "seed", "status", "logged"), REQUESTS)
def test_a_request_meets_its_fate_as_a_whole(
    zygote: Zygote, tmp_path: Path, faults: str, seed: int, status: int, logged: list[str]
) -> None:
    with supervisor.staged(zygote, tmp_path, _plan("sendgrid", faults, seed)) as port:
        found, _said = _post(port, _payload(1, 2))
    assert found in ({500, 502} if status in (500, 502) else {status})
    assert [what for what, _, _ in _log(tmp_path)] == logged


def test_the_reset_of_429_comes_as_an_instant_and_as_seconds(
    zygote: Zygote, tmp_path: Path
) -> None:
    with supervisor.staged(zygote, tmp_path, _plan("sendgrid", "429=100%")) as port:
        answers = [_post(port, _payload(n))[1] for n in range(12)]
    resets = {int(answer.partition("X-RateLimit-Reset: ")[2].split("\r")[0]) for answer in answers}
    assert 1 in resets
    assert any(reset > 1_700_000_000 for reset in resets)


def test_an_address_that_bounces_is_named_by_its_place(zygote: Zygote, tmp_path: Path) -> None:
    bounce = next(n for n in range(99) if Faults.parse("bounce=10%").is_bounce(1, _address(n)))
    sound = next(n for n in range(99) if not Faults.parse("bounce=10%").is_bounce(1, _address(n)))
    with supervisor.staged(zygote, tmp_path, _plan("sendgrid", "bounce=10%")) as port:
        status, said = _post(port, _payload(sound, bounce))
        assert (status, "personalizations.1.to.0.email" in said) == (400, True)
        assert _post(port, _payload(sound))[0] == 202
    assert [what for what, _, _ in _log(tmp_path)] == ["bounce", "accepted"]


def _address(number: int) -> str:
    return f"reader.{number}@example.com"


def test_a_request_that_times_out_was_accepted(zygote: Zygote, tmp_path: Path) -> None:
    with supervisor.staged(zygote, tmp_path, _plan("sendgrid", "timeout=100%")) as port:
        body = _payload(1)
        head = f"POST /v3/mail/send HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        with _connected(port) as connection:
            connection.sendall(head.encode() + body)
            _wait_until(lambda: len(_log(tmp_path)) == 2)
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
    assert [what for what, _, _ in _log(tmp_path)] == ["timeout", "accepted"]
