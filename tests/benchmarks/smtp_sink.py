"""A sink for measuring: takes SMTP as fast as it can, keeps nothing, counts what it took.

Run as a process of its own: `smtp_sink.py DELAY_S` prints its port, ends with its standard input,
and then prints how many messages it took. Every reply leaves DELAY_S after it was earned.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250 SIZE 0\r\n",
    b"DATA": b"354 Go on\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
    b".": b"250 2.0.0 Ok\r\n",
}
END = b"\r\n.\r\n"


TAIL_BYTES = 1_024  # a client sends no more than an envelope before it waits for the dot's reply


@dataclass
class Talk:
    connection: socket.socket
    line: bytes = b""  # a command that has no end yet
    tail: bytes = b""  # the last octets of a message that has no end yet
    in_message: bool = False
    taken: int = 0

    def replies(self, data: memoryview) -> bytes:
        if not self.in_message:
            return self.to_commands(bytes(data))
        last = bytes(data[-TAIL_BYTES:])
        seen = last if len(data) > TAIL_BYTES else self.tail + last
        end = seen.find(END)
        if end < 0:
            self.tail = seen[-len(END) :]
            return b""
        self.in_message = False
        self.taken += 1
        return ANSWERS[b"."] + self.to_commands(seen[end + len(END) :])

    def to_commands(self, data: bytes) -> bytes:
        *lines, self.line = (self.line + data).split(b"\r\n")
        if any(line.upper() == b"DATA" for line in lines):
            self.in_message, self.tail = True, b"\r\n"
        return b"".join(ANSWERS.get(line[:4].upper(), ANSWERS[b"."]) for line in lines)


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
    main(float(sys.argv[1]))
