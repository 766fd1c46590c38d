"""Slots: compiled once, spliced per reader, exact to the byte."""

from __future__ import annotations

import quopri
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsletter.rendering.slots import (
    HTML_PLACEHOLDERS,
    PLACEHOLDER,
    TEXT_PLACEHOLDERS,
    Slot,
    compile_part,
    encode_chunk,
    escape_html,
    escape_text,
    greeting,
    neutral,
    neutral_text,
)

# The machine may be busy: how long an example takes says nothing.
CALM = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = st.one_of(
    st.sampled_from([".", "=", "-", " ", "\t", '"', "'", "<", ">", "&", "\\", "From ", "--", "😀"]),
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]),
)
NASTY = st.lists(PIECES, max_size=300).map("".join)
LINES = st.lists(st.lists(PIECES, max_size=90).map("".join), max_size=6).map("\n".join)


def splice(part: str, values: dict[str, str], escape) -> bytes:
    compiled = compile_part(part, escape)
    pieces = compiled.pieces()
    for slot in Slot:
        for place in compiled.places(slot):
            pieces[place] = compiled.encode(values[slot])
    return b"".join(pieces)


def decoded(body: bytes) -> str:
    return quopri.decodestring(body).decode().replace("\r\n", "\n")


@CALM
@example(before="", middle="", after="", name="", token=".From .")
@example(before="", middle="", after="x" * 72 + "é \n", name="", token="")
@example(before="x" * 76, middle="é" * 13 + ".", after="x" * 75 + ".", name="x" * 76, token="")
@given(before=LINES, middle=LINES, after=LINES, name=NASTY, token=NASTY)
@example(before="", middle="", after="", name="." * 300, token="-" * 300)
@example(before="a", middle=".gif", after=".\n..\nFrom x", name="From you", token="😀" * 75)
def test_a_spliced_part_decodes_to_exactly_what_plain_replacing_gives(
    before: str, middle: str, after: str, name: str, token: str
) -> None:
    part = (
        f"{before}{TEXT_PLACEHOLDERS[Slot.NAME]}{middle}{TEXT_PLACEHOLDERS[Slot.DELIVERY]}{after}"
    )
    values = {"name": name, "delivery": token, "unsubscribe": ""}
    body = splice(part, values, escape_text)
    meant = neutral_text(part, values)
    assert decoded(body) == meant if meant.endswith("\n") or not meant else meant + "\n"
    assert decoded(body).rstrip("\n") == meant.rstrip("\n")
    for line in body.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert b"\n" not in line
        assert b"\r" not in line
        assert line.isascii()


@CALM
@given(name=NASTY)
def test_a_value_in_html_is_escaped_and_comes_back_to_the_letter(name: str) -> None:
    part = f"<p>Hello{HTML_PLACEHOLDERS[Slot.NAME]},</p>\n"
    body = decoded(splice(part, {"name": name}, escape_html))
    assert body == neutral(part, {"name": name})
    inside = body.removeprefix("<p>Hello").removesuffix(",</p>\n")
    assert not set(inside) & set("<>\"'")


@CALM
@given(value=st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=80))
def test_a_value_never_brings_a_line_of_its_own(value: str) -> None:
    chunk = compile_part(TEXT_PLACEHOLDERS[Slot.NAME], escape_text).encode(value)
    assert "\n" not in quopri.decodestring(chunk).decode()
    assert chunk == b"" or chunk.endswith(b"=\r\n")


def test_placeholders_are_alphanumeric_and_differ_between_the_parts() -> None:
    tokens = [*HTML_PLACEHOLDERS.values(), *TEXT_PLACEHOLDERS.values()]
    assert len(set(tokens)) == 2 * len(Slot)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", token) for token in tokens)
    assert PLACEHOLDER.findall(" ".join(tokens)) == tokens


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Priya", "Hello Priya,"),
        ("", "Hello,"),
        ("   ", "Hello,"),
        ("  Ada \t Lovelace ", "Hello Ada Lovelace,"),
        ("Bo\r\nBcc: x@example.com", "Hello Bo Bcc: x@example.com,"),
    ],
)
def test_a_greeting_reads_well_with_and_without_a_name(name: str, shown: str) -> None:
    assert f"Hello{greeting(name)}," == shown


def test_an_endless_name_is_cut_in_the_greeting() -> None:
    assert len(greeting("x" * 500)) == 61


def test_slots_without_a_value_are_empty_in_a_neutral_copy() -> None:
    assert neutral(f"a{HTML_PLACEHOLDERS[Slot.NAME]}b", {}) == "ab"


def test_a_chunk_that_ends_its_line_needs_no_soft_break() -> None:
    assert encode_chunk("one\n") == b"one\r\n"
    assert encode_chunk("one") == b"one=\r\n"
    assert encode_chunk("one", last=True) == b"one\r\n"
    assert encode_chunk("") == b""
