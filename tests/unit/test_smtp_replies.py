"""Around the SMTP protocol core: reading replies, their meaning, addresses, messages, the URL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import SettingsError
from newsletter.providers.smtp import Smtp
from newsletter.providers.smtp_letters import (
    Letter,
    Offer,
    fault_of,
    is_address,
    mail_command,
    stuffed,
)
from newsletter.providers.smtp_replies import (
    MAX_LINE_BYTES,
    GarbledReplyError,
    Meaning,
    Reply,
    ReplyReader,
    Step,
    described,
    meaning,
)
from newsletter.providers.smtp_url import Target, Tls, parse_url


def letter(key: int, message: bytes = b"Hello\r\n") -> Letter:
    return Letter(key, f"reader{key}@example.com", f"w48.{key}@example.com", message)


REPLIES = st.lists(
    st.tuples(
        st.integers(200, 599),
        st.lists(st.binary(max_size=20).map(lambda b: b.translate(None, b"\r\n")), min_size=1),
    ),
    max_size=6,
)


@given(replies=REPLIES, size=st.integers(1, 30))
def test_replies_are_read_as_they_were_written(
    replies: list[tuple[int, list[bytes]]], size: int
) -> None:
    data = b"".join(
        b"".join(b"%d-%b\r\n" % (code, line) for line in lines[:-1])
        + b"%d %b\r\n" % (code, lines[-1])
        for code, lines in replies
    )
    reader = ReplyReader()
    read = [
        reply for at in range(0, len(data), size) for reply in reader.read(data[at : at + size])
    ]
    assert [(reply.code, list(reply.lines)) for reply in read] == replies
    assert not reader.has_rest


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n", b"25 Ok\r\n", b"2500 Ok\r\n", b"250_Ok\r\n", b"\r\n", b"150 No\r\n",
        b"650 No\r\n", b"250-a\r\n251 b\r\n", b"250 " + b"x" * MAX_LINE_BYTES,
        b"250-a\r\n" * 300, "٢٥٠ Ok\r\n".encode(),
    ],
)  # fmt: skip
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    with pytest.raises(GarbledReplyError):
        list(ReplyReader().read(data + b"x" * 10))


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        (Step.RCPT, b"250", Meaning.GO), (Step.RCPT, b"251", Meaning.GO),
        (Step.RCPT, b"354", Meaning.BROKEN), (Step.DATA, b"250", Meaning.BROKEN),
        (Step.DATA, b"354", Meaning.GO), (Step.DOT, b"354", Meaning.BROKEN),
        (Step.MAIL, b"552 5.3.4", Meaning.NEVER), (Step.MAIL, b"550 5.7.1", Meaning.STOP),
        (Step.MAIL, b"503", Meaning.BROKEN), (Step.RCPT, b"503", Meaning.NEVER),
        (Step.RCPT, b"530 5.7.0", Meaning.STOP), (Step.DOT, b"550", Meaning.NEVER),
        (Step.DOT, b"421", Meaning.CLOSING), (Step.DOT, b"451", Meaning.LATER),
        (Step.PASSWORD, b"535", Meaning.STOP), (Step.AUTH_PLAIN, b"454", Meaning.LATER),
    ],
)  # fmt: skip
def test_what_a_reply_means_depends_on_the_question(
    step: Step, text: bytes, expected: Meaning
) -> None:
    code, _, rest = text.partition(b" ")
    assert meaning(step, Reply(int(code), (rest,))) is expected


def test_a_reason_is_short_printable_and_without_addresses() -> None:
    text = b"5.1.1 <Sam.Reader@example.com>\x1b[31m sam.reader mailto:a%40b.example " + b"x" * 9999
    shown = described(Reply(550, (text, b"bounce-sam=40example.com")), address="sam.reader@x.org")
    assert shown.startswith("550 5.1.1 <(address)> [31m (address) mailto:(address) xxx")
    assert len(shown) <= 204
    assert shown.isprintable()
    assert "sam" not in shown.lower()


@given(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"\r\n.")))
def test_stuffing_dots_is_undone_by_the_rule_of_the_standard(message: bytes) -> None:
    on_wire = stuffed(message)
    assert b"\r\n.\r\n" not in on_wire
    assert not on_wire.startswith(b".\r\n")
    assert on_wire.endswith(b"\r\n")
    lines = [line.removeprefix(b".") for line in on_wire.split(b"\r\n")]
    assert b"\r\n".join(lines).removesuffix(b"\r\n") == message.removesuffix(b"\r\n")


@pytest.mark.parametrize("message", [b"a\n.\r\nb\r\n", b"a\r.\rb\r\n", b"a\r\n.\n", b"\0\r\n"])
def test_a_message_that_could_pass_for_two_is_not_sent(message: bytes) -> None:
    assert fault_of(letter(1, message), Offer())
    assert not fault_of(letter(1), Offer())


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"."]), max_size=8).map(b"".join))
def test_every_lone_line_end_is_found(message: bytes) -> None:
    is_lone = re.search(rb"(?<!\r)\n|\r(?!\n)", message) is not None
    assert bool(fault_of(letter(1, message), Offer())) == is_lone


def test_eight_bit_messages_go_only_where_they_are_welcome() -> None:
    eight = letter(1, "grüße\r\n".encode())
    assert "8BITMIME" in fault_of(eight, Offer())
    welcome = Offer.read(Reply(250, (b"there", b"8BITMIME")))
    assert not fault_of(eight, welcome)
    assert mail_command("a@b.example", eight, welcome).endswith(b" BODY=8BITMIME")


@given(st.text())
def test_no_address_taken_can_end_its_brackets_or_its_line(text: str) -> None:
    address = f"{text}@example.com"
    if is_address(address):
        assert not set(address) & set("\r\n\0<> \t\"'".replace("'", ""))
        assert address.count("@") == 1
        assert address.encode().splitlines() == [address.encode()]


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "smtp://user:p%40ss%2F@host.example:587?tls=starttls",
            Target("host.example", 587, Tls.STARTTLS, "user", "p@ss/"),
        ),
        ("smtp://host.example", Target("host.example", 587, Tls.STARTTLS)),
        ("smtps://a:b@host.example", Target("host.example", 465, Tls.IMPLICIT, "a", "b")),
        ("smtp://127.0.0.1:2525?tls=none", Target("127.0.0.1", 2525, Tls.NONE)),
        ("smtp://localhost", Target("localhost", 25, Tls.NONE)),
        ("smtp://[::1]:2525", Target("::1", 2525, Tls.NONE)),
        ("smtp://a:b@localhost?tls=starttls", Target("localhost", 587, Tls.STARTTLS, "a", "b")),
        ("smtp://mail.internal?tls=none", Target("mail.internal", 25, Tls.NONE)),
    ],
)
def test_the_forms_of_the_url(url: str, target: Target) -> None:
    assert parse_url(url) == target


BAD_URLS = [
    "", "host", "http://u:hunter2@host", "smtp://u:hunter2@", "smtp://u:hunter2@host:hunter2",
    "smtp://u:hunter2@host:0", "smtp://u:hunter2@host:70000", "smtp://u:hun?ter2@host",
    "smtp://u:hun/ter2@host", "smtp://u:hun#ter2@host", "smtp://u@host", "smtp://:hunter2@host",
    "smtp://u:hunter2@host?tls=none", "smtp://u:hunter2@host?tls=hunter2", "smtp://[hunter2",
    "smtp://u:hunter2@host?tls=starttls&tls=none", "smtps://u:hunter2@host?tls=none",
    "smtp://u:hunter2%00@host", "smtp://u:hunter2%ff@host", "smtp://u:hunter2@a..b",
    "smtp://u:hunter2@host\x00", "smtp://u:hunter2@.host",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Smtp.from_url(url, sender="news@example.com", helo="here")
    shown = f"{caught.value}{caught.value.__cause__}"
    assert "hun" not in shown
    assert "ter2" not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": "News <news@example.com>"}, {"sender": "a@b>\r\nRSET"}, {"sender": "ü@b"},
        {"helo": "here\r\nRSET"}, {"helo": ""}, {"connections": 0}, {"timeout_s": 0.0},
    ],
)  # fmt: skip
def test_unusable_settings_are_refused_before_anything_is_dialled(wrong: dict[str, object]) -> None:
    usable: dict[str, object] = {"sender": "news@example.com", "helo": "here"}
    with pytest.raises(SettingsError):
        Smtp.from_url("smtp://localhost", **{**usable, **wrong})  # type: ignore[arg-type]  # mixed
