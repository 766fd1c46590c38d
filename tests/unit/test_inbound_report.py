"""What a mail about our mail says, in the shapes that several makers give it and in worse ones."""

from __future__ import annotations

import email

import bounce_samples as samples
import pytest
from bounce_samples import Sample
from hypothesis import given
from hypothesis import strategies as st

from newsletter.inbound import mime
from newsletter.inbound.report import Kind, Ours, Report, digest, read_report
from newsletter.tokens import Keyring
from subscribers.policy import Verdict

OURS = Ours(
    bounces_to="bounces@verdicts.example.com",
    unsubscribe_mailto="Leave <leave@verdicts.example.com>",
    public_url="https://verdicts.example.com",
)
KEYS = Keyring([b"a secret key of enough octets"])


def read(raw: bytes | str) -> Report:
    return read_report(raw.encode("latin-1") if isinstance(raw, str) else raw, OURS)


@pytest.mark.parametrize("name", samples.HARD)
def test_a_mailbox_that_is_not_there_is_found_in_every_makers_shape(name: str) -> None:
    sample = samples.HARD[name]
    found = read(sample.octets)
    assert (found.kind, found.verdict, found.code) == (Kind.BOUNCE, Verdict.HARD, sample.code)
    assert samples.MESSAGE_ID in found.clues.message_ids
    assert samples.GONE not in found.reason


@pytest.mark.parametrize(("name", "sample"), {**samples.OTHERS, **samples.LETTERS}.items())
def test_what_is_no_hard_bounce_is_none(name: str, sample: Sample) -> None:
    found = read(sample.octets)
    assert (found.kind, found.verdict, found.code) == (sample.kind, sample.verdict, sample.code), (
        name
    )


@pytest.mark.parametrize("feedback", ["fraud", "not-spam", "virus", "opt-out", "other"])
def test_only_abuse_is_a_complaint(feedback: str) -> None:
    assert read(samples.complaint()).verdict is Verdict.COMPLAINT
    assert samples.MESSAGE_ID in read(samples.complaint()).clues.message_ids
    other = read(samples.complaint(feedback))
    assert (other.kind, other.verdict) == (Kind.FEEDBACK, Verdict.NONE)


def test_a_complaint_quoted_in_what_was_sent_or_in_a_letter_is_none() -> None:
    quoted = "Feedback-Type: abuse\nUser-Agent: x\n"
    bounced = samples.POSTFIX.replace("The body of what was sent.", quoted)
    assert read(bounced).kind is Kind.BOUNCE
    assert read(samples.letter("Hello", "Feedback-Type: abuse\n")).kind is Kind.UNKNOWN


def test_more_is_found_than_by_looking_for_the_part_that_says_it_is_a_status() -> None:
    declared = 0
    for sample in samples.HARD.values():
        parts = email.message_from_bytes(sample.octets).walk()
        declared += any(
            part.get_content_type() == "message/delivery-status"
            and any("Status" in group for group in part.get_payload())
            for part in parts
        )
    assert 0 < declared < len(samples.HARD) / 2


def test_of_several_recipients_the_one_that_failed_is_told() -> None:
    good = samples.fields("2.0.0", "250 ok", action="relayed")
    found = read(samples.report(f"{good}\n{samples.UNKNOWN_USER}"))
    assert (found.kind, found.code) == (Kind.BOUNCE, "5.1.1")


def test_the_token_is_found_in_the_address_the_report_came_to_in_any_case() -> None:
    token = KEYS.bounce(7, 12)
    raw = samples.POSTFIX.replace(
        "To: news@verdicts.example.com",
        f"To: <BOUNCES+{token.upper()}@Verdicts.Example.COM>",
        1,
    )
    (found,) = read(raw).clues.bounce_tokens
    assert KEYS.read_bounce(found).subscriber_id == 12


@pytest.mark.parametrize(
    "address",
    [
        "bounces+{}@elsewhere.example.com",
        "xbounces+{}@verdicts.example.com",
        "bounces+{}@verdicts.example.com.evil.example",
    ],
)
def test_a_token_in_another_address_is_none_of_ours(address: str) -> None:
    there = address.format(KEYS.bounce(7, 12))
    raw = samples.POSTFIX.replace("news@verdicts.example.com", there, 1)
    assert not read(raw).clues.bounce_tokens


def test_a_wish_to_leave_by_mail_has_its_token_in_the_subject_or_the_address() -> None:
    token = KEYS.unsubscribe(7, 12)
    for subject, to in (
        (f"unsubscribe {token}", "leave@verdicts.example.com"),
        ("", f"leave+{token}@verdicts.example.com"),
    ):
        found = read(f"From: a@example.org\nTo: {to}\nSubject: {subject}\n\n")
        assert (found.kind, found.verdict) == (Kind.UNSUBSCRIBE, Verdict.LEAVING)
        assert found.clues.unsubscribe_tokens == (token,)


def test_a_wish_to_leave_without_a_token_takes_nobody_off_the_list() -> None:
    found = read("From: a@example.org\nTo: leave@verdicts.example.com\nSubject: unsubscribe\n\n")
    assert (found.kind, found.verdict) == (Kind.UNSUBSCRIBE, Verdict.UNCLASSIFIED)
    token = KEYS.unsubscribe(7, 12)
    elsewhere = read(f"To: other@example.com\nSubject: unsubscribe {token}\n\n")
    assert elsewhere.kind is Kind.UNKNOWN


def test_the_same_mail_has_one_digest_whichever_way_it_came() -> None:
    raw = samples.POSTFIX.encode()
    ways = (raw, raw.replace(b"\n", b"\r\n"), b"From x@y Tue Nov 24\n" + raw, raw + b"\n\n")
    assert len({digest(way) for way in ways}) == 1
    assert digest(raw) != digest(raw.replace(b"5.1.1", b"5.1.2"))


NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(10_000)
)
MAILS_IN_MAILS = b"Content-Type: message/rfc822\n\n" * 10_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n\n",
        b"\x00\xff" * 500,
        b"no header at all\n",
        b"From: a@b\n" * 3000,
        b"Subject:" + b" =?utf-8?b?////?=" * 500 + b"\n\n",
        b"Content-Type: text/plain; charset=rot13\nContent-Transfer-Encoding: base64\n\n=====A",
        b"Content-Type: multipart/report; boundary=\n\n--\n--\n--\n",
        b"Status: 5.1.1\nAction\n\n",
        NESTED,
        MAILS_IN_MAILS,
        b"--a\nContent-Type: text/plain\n\n" * 10_000,
        b"Feedback-Type: abuse\n" * 10,
    ],
    ids=range(13),
)
def test_a_hostile_mail_is_unclassified_and_leads_to_nobody(raw: bytes) -> None:
    found = read(raw)
    assert (found.kind, found.verdict) == (Kind.UNKNOWN, Verdict.UNCLASSIFIED)
    assert not found.clues.message_ids


@pytest.mark.slow
@pytest.mark.parametrize(
    "filler", [b"A", b"Message-ID: <a@b>\n", b"550 ", b"From: a: \n", b"user "]
)
def test_of_ten_megabytes_only_the_beginning_is_looked_at(filler: bytes) -> None:
    head = samples.POSTFIX.encode()
    found = read(head + filler * (10_000_000 // len(filler)))
    assert found.code == "5.1.1"
    assert read(filler * (10_000_000 // len(filler))).kind is Kind.UNKNOWN


@given(st.binary(max_size=2000))
def test_no_octets_stop_the_reader(raw: bytes) -> None:
    read(raw)


@given(st.data())
def test_a_bounce_with_anything_cut_out_or_put_in_is_still_read(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(list(samples.HARD.values()))).octets
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    found = read(whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:])
    assert len(found.reason) <= 300


def test_a_part_says_whether_it_was_returned() -> None:
    kinds = [(part.kind, part.is_returned) for part in mime.parts(samples.POSTFIX.encode())]
    assert ("message/delivery-status", False) in kinds
    assert kinds[-1] == ("text/plain", True)
