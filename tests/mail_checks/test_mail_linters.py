"""npm's mjml on each mail's source, html-validate on its HTML: no error at all.

The Rust compiler that renders our mails passes unknown tags and attributes in silence.
"""

from __future__ import annotations

from pathlib import Path

import checked_mails
import pytest
from outside_tools import lint

pytestmark = pytest.mark.slow

GOOD_MJML = """<mjml><mj-body><mj-section><mj-column><mj-text color="#1b1b18">Hello</mj-text>
</mj-column></mj-section></mj-body></mjml>"""
GOOD_HTML = """<!DOCTYPE html><html lang="en"><head><title>A mail</title></head>
<body><table role="presentation" cellpadding="0"><tr><td>Hello</td></tr></table></body></html>"""

BAD_MJML = {
    "attribute": ("color=", "colour=", "Attribute colour is illegal"),
    "value": ("#1b1b18", "quite dark", "invalid value: quite dark"),
    "tag": ("<mj-text color", "<mj-blink/><mj-text color", "Element mj-blink doesn't exist"),
    "place": ("<mj-column>", "", "mj-text cannot be used inside mj-section"),
}
BAD_HTML = {
    "alt": ("Hello", '<img src="logo.png">', "wcag/h37"),
    "lang": (' lang="en"', "", "element-required-attributes"),
    "deprecated": ("cellpadding", 'frame="box" cellpadding', "no-deprecated-attr"),
    "close": ("</td>", "<b></td>", "close-order"),
    "content": ("Hello", "<ul><b>x</b></ul>", "element-permitted-content"),
    "heading": ("Hello", "<h2></h2>", "empty-heading"),
    "twice": ("<td>", '<td id="a" id="b">', "no-dup-attr"),
}


def test_the_mjml_of_every_mail_is_strictly_valid(tmp_path: Path) -> None:
    for name in checked_mails.NAMES:
        (tmp_path / f"{name}.mjml").write_text(checked_mails.checked(name).mjml)
    assert lint(tmp_path) == {f"{name}.mjml": [] for name in checked_mails.NAMES}


def test_the_html_of_every_mail_is_valid(tmp_path: Path) -> None:
    for name in checked_mails.NAMES:
        (tmp_path / f"{name}.html").write_text(checked_mails.checked(name).html)
    assert lint(tmp_path) == {f"{name}.html": [] for name in checked_mails.NAMES}


def test_both_linters_name_what_is_wrong(tmp_path: Path) -> None:
    cases = [("mjml", GOOD_MJML, BAD_MJML), ("html", GOOD_HTML, BAD_HTML)]
    for kind, good, faults in cases:
        (tmp_path / f"good.{kind}").write_text(good)
        for name, (part, bad, _) in faults.items():
            assert part in good
            (tmp_path / f"{name}.{kind}").write_text(good.replace(part, bad, 1))
    found = lint(tmp_path)
    for kind, _, faults in cases:
        assert found[f"good.{kind}"] == []
        for name, (_, _, said) in faults.items():
            assert any(said in fault for fault in found[f"{name}.{kind}"]), (name, found)
