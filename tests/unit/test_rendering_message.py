"""Messages: the headers, the parts, and that readers' messages differ in their slots alone."""

from __future__ import annotations

import email
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from html import escape

import issue_views as views
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsletter.errors import RefusedError
from newsletter.rendering.headers import mailbox
from newsletter.rendering.message import CompiledMessage, compile_message
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import greeting, neutral, neutral_text
from newsletter.rendering.view import Publication

DATE = datetime(2026, 11, 24, 9, tzinfo=UTC)
SLOTS = {
    "delivery": "AQcAAAAH-_abc",
    "unsubscribe": "-gcAAAAH-_def",
    "vote": "-gcAAAAH-_def",
    "preferences": "-gcAAAAH-_def",
    "name": " Priya",
}
WAY_OUT = "https://verdicts.example.com/unsubscribe/-gcAAAAH-_def"
ISSUE = Renderer().issue(views.issue_view())


def compiled(
    rendered: RenderedIssue = ISSUE, publication: Publication = views.PUBLICATION
) -> CompiledMessage:
    return compile_message(
        rendered, publication, date=DATE, kind="weekly", week="2026-W48", issue_id=7
    )


def spliced(message: CompiledMessage, **changes: object) -> bytes:
    values = {
        "address": "priya@example.com",
        "name": "Priya",
        "message_id": "7.0a1b2c@verdicts.example.com",
        "slots": SLOTS,
        "unsubscribe_url": WAY_OUT,
    }
    return message.splice(**{**values, **changes})  # type: ignore[arg-type] # a test's shorthand


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=policy.default.clone(raise_on_defect=True))
    assert isinstance(message, EmailMessage)
    return message


def content(part: EmailMessage) -> str:
    return part.get_content().replace("\r\n", "\n")


COMPILED = compiled()


def test_the_parts_are_text_then_html_and_come_back_to_the_letter() -> None:
    message = parsed(spliced(COMPILED))
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    for part in (text, html):
        assert part["Content-Transfer-Encoding"] == "quoted-printable"
    assert content(text) == neutral_text(ISSUE.text, SLOTS)
    assert content(html).rstrip("\n") == neutral(ISSUE.html, SLOTS).rstrip("\n")


def test_every_header_is_there_once_and_says_what_it_should() -> None:
    message = parsed(spliced(COMPILED))
    assert dict(message.items()) == {
        "To": "Priya <priya@example.com>",
        "Message-ID": "<7.0a1b2c@verdicts.example.com>",
        "List-Unsubscribe": f"<{WAY_OUT}>",
        "From": "Weekly AI Tool Verdicts <news@verdicts.example.com>",
        "Subject": "Ship Mistral 8B Instruct v3",
        "Date": "Tue, 24 Nov 2026 09:00:00 +0000",
        "MIME-Version": "1.0",
        "Reply-To": "editors@verdicts.example.com",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": "issue7:2026-W48:weekly:weeklyverdictse",
        "List-Id": "Weekly AI Tool Verdicts <weekly.verdicts.example.com>",
        "Content-Type": f'multipart/alternative; boundary="=_{ISSUE.sha256[:40]}"',
    }
    assert len(message.keys()) == len(set(message.keys()))


def test_lines_end_in_crlf_are_ascii_and_short() -> None:
    raw = spliced(COMPILED, name="Zoë 😀", slots={**SLOTS, "name": " Zoë 😀"})
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert max(map(len, head.split(b"\r\n"))) <= 998


def test_list_headers_are_never_encoded_words_however_long() -> None:
    url = "https://verdicts.example.com/unsubscribe/" + "A" * 400
    mailto = replace(views.PUBLICATION, unsubscribe_mailto="leave@verdicts.example.com")
    raw = spliced(compiled(publication=mailto), unsubscribe_url=url)
    assert b"=?" not in raw.partition(b"\r\n\r\n")[0]
    assert parsed(raw)["List-Unsubscribe"] == (
        f"<{url}>, <mailto:leave@verdicts.example.com?subject=unsubscribe%20{'A' * 400}>"
    )


def test_two_readers_messages_differ_in_their_slots_alone() -> None:
    other = dict.fromkeys(("unsubscribe", "preferences", "vote"), "AgOther")
    other |= {"delivery": "AQother", "name": ""}
    url = "https://verdicts.example.com/unsubscribe/AgOther"
    one = parsed(spliced(COMPILED))
    two = parsed(
        spliced(
            COMPILED,
            address="b@example.org",
            name="",
            slots=other,
            message_id="7.ffff@verdicts.example.com",
            unsubscribe_url=url,
        )
    )
    differing = {name for name in one if one[name] != two[name]}
    assert differing == {"To", "Message-ID", "List-Unsubscribe"}
    for a, b in zip(one.iter_parts(), two.iter_parts(), strict=True):
        same = content(a)
        for slot in ("delivery", "unsubscribe"):
            same = same.replace(SLOTS[slot], other[slot])
        assert same.replace("Hello Priya,", "Hello,") == content(b)


def test_the_same_reader_gets_the_same_bytes_on_every_attempt() -> None:
    assert spliced(COMPILED) == spliced(compiled(Renderer().issue(views.issue_view())))


# The machine may be busy: how long an example takes says nothing.
CALM = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=130)


@CALM
@given(NAMES)
@example('Ann "A." O\'Neil, Jr.')
@example("back\\slash <x@example.com>")
@example("=?utf-8?q?a=0ABcc=3A_x?=")
@example("é" * 100)
@example("a\r\nBcc: x@example.com")
def test_no_name_breaks_the_to_header(name: str) -> None:
    """A name stands to the letter, blanks aside, or is left out; there is never a second header."""
    value = mailbox(name, "priya@example.com")
    message = parsed(f"To: {value}\r\n\r\n".encode("ascii"))
    assert message.keys() == ["To"]
    (address,) = message["To"].addresses
    assert address.addr_spec == "priya@example.com"
    # `decode_header`, since Python 3.11's own registry leaves the folds of a long name in it.
    phrase = value.rpartition("<")[0]
    shown = (
        str(make_header(decode_header(phrase))).strip()
        if "=?" in phrase
        else (address.display_name)
    )
    assert shown in ("", " ".join(name.split()))
    assert all(len(line) <= 998 for line in value.split("\r\n"))


@pytest.mark.parametrize("name", ["Priya", "Zoë", "Ann, Jr.", 'A "B" C', "李雷", "O'Neil-Smith 3"])
def test_ordinary_names_do_stand_in_the_to_header(name: str) -> None:
    message = parsed(spliced(COMPILED, name=name))
    assert message["To"].addresses == (Address(name, addr_spec="priya@example.com"),)


@pytest.mark.parametrize(
    "subject",
    ["=?utf-8?q?a=0ABcc=3A_x=40example.com?=", "a\r\nBcc: x@example.com", "a\nb", "a\x00b"],
)
def test_a_subject_that_could_hide_a_header_is_refused(subject: str) -> None:
    with pytest.raises(RefusedError, match="could hide another header"):
        compiled(replace(ISSUE, subject=subject))


@pytest.mark.parametrize(
    "subject", ["Tabula <Next> & “Co”", "Ship it 😀 " + "é" * 120, "x" * 300, "a, b; c: d"]
)
def test_odd_subjects_come_back_to_the_letter(subject: str) -> None:
    assert parsed(spliced(compiled(replace(ISSUE, subject=subject))))["Subject"] == subject


@pytest.mark.parametrize(
    "change",
    [
        {"sender": "nobody"},
        {"sender": ""},
        {"sender": "A\r\nBcc: x@example.com <a@example.com>"},
        {"sender": "=?utf-8?q?x?= <a@example.com>"},
        {"reply_to": "not an address"},
        {"unsubscribe_mailto": "a@example.com\r\nBcc: x"},
        {"list_id": "a\r\nBcc: x"},
    ],
)
def test_a_publication_that_cannot_stand_in_headers_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(RefusedError):
        compiled(publication=replace(views.PUBLICATION, **change))


def test_a_sender_with_other_letters_is_encoded_and_a_list_phrase_left_out() -> None:
    publication = replace(
        views.PUBLICATION, name="Wöchentlich", sender="Wöchentlich <news@example.com>"
    )
    message = parsed(spliced(compiled(publication=publication)))
    assert message["From"].addresses[0].display_name == "Wöchentlich"
    assert message["List-Id"] == "<weekly.verdicts.example.com>"


@pytest.mark.parametrize(
    "address",
    [
        "a b@example.com",
        "a@example.com\r\nBcc: x",
        "ä@example.com",
        "<a@example.com>",
        "",
        "a,b@example.com",
        '"a b"@example.com',
        "=?utf-8?q?x?=@example.com",
    ],
)
def test_an_address_that_is_not_in_wire_form_is_refused_unnamed(address: str) -> None:
    with pytest.raises(RefusedError) as caught:
        spliced(COMPILED, address=address)
    assert not address or address not in str(caught.value)


def test_a_missing_slot_or_way_out_is_refused() -> None:
    with pytest.raises(RefusedError, match="slot 'unsubscribe'"):
        spliced(COMPILED, slots={"delivery": "a", "name": ""})
    with pytest.raises(RefusedError, match="unsubscribe URL"):
        spliced(COMPILED, unsubscribe_url="")
    with pytest.raises(RefusedError, match="Message-ID"):
        spliced(COMPILED, message_id="a@b>\r\nBcc: x")


def test_a_name_is_escaped_in_the_html_and_not_in_the_text() -> None:
    name = greeting("<b>Ann</b> & Co")
    text, html = parsed(spliced(COMPILED, slots={**SLOTS, "name": name})).iter_parts()
    assert f"Hello{name}," in content(text)
    assert f"Hello{escape(name)}," in content(html)


def test_a_system_mail_is_auto_generated_and_not_of_the_list() -> None:
    mail = Renderer().system(views.system_view("confirm"))
    message = compile_message(mail, views.PUBLICATION, date=DATE, kind="confirm")
    raw = message.splice(
        address="a@example.com",
        name="",
        message_id="s1@verdicts.example.com",
        slots={"confirm": "BAAAtoken"},
    )
    assert parsed(raw)["Auto-Submitted"] == "auto-generated"
    assert not [name for name in parsed(raw) if name.startswith(("List-", "Feedback"))]
    assert content(parsed(raw).get_body(("plain",))) == neutral_text(
        mail.text, {"confirm": "BAAAtoken"}
    )
