"""A sink for measuring: takes SMTP as fast as it can, keeps nothing, counts what it took.

Run as a process of its own: `smtp_sink.py DELAY_S [chunking]` prints its port, ends with its
standard input, and then prints how many messages it took. Every reply leaves DELAY_S after it was
earned.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

OK = b"250 2.0.0 Ok\r\n"
ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250 SIZE 0\r\n",
    b"DATA": b"354 Go on\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
CHUNKING = b"250-sink\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE 0\r\n"
END = b"\r\n.\r\n"


TAIL_BYTES = 1_024  # a client sends no more than an envelope before it waits for the dot's reply


@dataclass
class Talk:
    connection: socket.socket
    line: bytes = b""  # a command that has no end yet
    tail: bytes = b""  # the last octets of a message that has no end yet
    in_message: bool = False
    owed: int = 0  # octets of a chunk that are to come
    taken: int = 0

    def replies(self, data: memoryview) -> bytes:
        if self.owed:
            return self.to_chunk(data)
        if not self.in_message:
            return self.to_commands(data)
        last = bytes(data[-TAIL_BYTES:])
        seen = last if len(data) > TAIL_BYTES else self.tail + last
        end = seen.find(END)
        if end < 0:
            self.tail = seen[-len(END) :]
            return b""
        self.in_message = False
        self.taken += 1
        return OK + self.to_commands(memoryview(seen)[end + len(END) :])

    def to_chunk(self, data: memoryview) -> bytes:
        if len(data) < self.owed:
            self.owed -= len(data)
            return b""
        rest, self.owed = data[self.owed :], 0
        self.taken += 1
        return OK + self.to_commands(rest)

    def to_commands(self, data: memoryview) -> bytes:
        """Looks no further than an envelope at a time: what follows may be a long chunk."""
        replies = []
        at = 0
        while at < len(data):
            known = len(self.line)
            *lines, self.line = (self.line + bytes(data[at : at + TAIL_BYTES])).split(b"\r\n")
            seen = 0
            for line in lines:
                seen += len(line) + 2
                verb = line[:4].upper()
                if verb == b"BDAT":
                    self.owed, self.line = int(line.split()[1]), b""
                    return b"".join(replies) + self.to_chunk(data[at + seen - known :])
                if verb == b"DATA":
                    self.in_message, self.tail = True, b"\r\n"
                replies.append(ANSWERS.get(verb, OK))
            at += TAIL_BYTES
        return b"".join(replies)


def main(delay_s: float) -> None:
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(listener.getsockname()[1], flush=True)
    room = memoryview(bytearray(262_144))
    talks: list[Talk] = []
    later: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        wait_s = max(0.0, later[0][0] - time.monotonic()) if later else None
        ready = selector.select(wait_s)
        while later and later[0][0] <= time.monotonic():
            _, connection, said = later.popleft()
            send(connection, said)
        for key, _ in ready:
            if key.fileobj is sys.stdin:
                print(sum(talk.taken for talk in talks), flush=True)
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                talks.append(Talk(connection))
                selector.register(connection, selectors.EVENT_READ, talks[-1])
                later.append((time.monotonic() + delay_s, connection, b"220 sink\r\n"))
                continue
            talk = key.data
            try:
                data = room[: talk.connection.recv_into(room)]
            except OSError:
                data = room[:0]
            if not data:
                selector.unregister(talk.connection)
                talk.connection.close()
            elif said := talk.replies(data):
                if delay_s:
                    later.append((time.monotonic() + delay_s, talk.connection, said))
                else:
                    send(talk.connection, said)


def send(connection: socket.socket, said: bytes) -> None:
    with suppress(OSError):  # it has left
        connection.sendall(said)


if __name__ == "__main__":
    if "chunking" in sys.argv[2:]:
        ANSWERS[b"EHLO"] = CHUNKING
    main(float(sys.argv[1]))
