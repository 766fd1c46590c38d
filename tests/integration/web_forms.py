"""The forms of a page, as a program finds them: what each would send if it was sent as it came."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

FORM = re.compile(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', re.DOTALL)
INPUT = re.compile(r"<input[^>]*>")
ATTRIBUTE = re.compile(r'([a-z]+)="([^"]*)"')
SELECT = re.compile(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', re.DOTALL)
SELECTED = re.compile(r'<option(?: value="([^"]*)")? selected>([^<]*)')
BUTTON = re.compile(r'<button[^>]*name="do" value="([^"]*)"')


@dataclass(frozen=True)
class WebForm:
    """fields: with what stands in them. buttons: what `do` may say; [""] where it says nothing."""

    action: str
    fields: dict[str, str]
    buttons: list[str]


def forms(page: str) -> Iterator[WebForm]:
    for action, body in FORM.findall(page):
        fields = dict(_inputs(body)) | dict(_selects(body))
        yield WebForm(action, fields, BUTTON.findall(body) or [""])


def _inputs(body: str) -> Iterator[tuple[str, str]]:
    for tag in INPUT.findall(body):
        said = dict(ATTRIBUTE.findall(tag))
        is_box = said.get("type") in ("checkbox", "radio")
        if "name" in said and (not is_box or tag.endswith(" checked>")):
            yield said["name"], html.unescape(said.get("value", ""))


def _selects(body: str) -> Iterator[tuple[str, str]]:
    for name, options in SELECT.findall(body):
        chosen = SELECTED.search(options)
        has_value = chosen is not None and chosen[1] is not None
        yield name, html.unescape(chosen[1] if has_value else chosen[2]) if chosen else ""
