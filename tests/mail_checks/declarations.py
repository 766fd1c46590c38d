"""What a mail's style attributes declare, element by element, whoever wrote them.

Two inliners may order and space declarations differently, write a shorthand before its longhands,
or imply a `<tbody>`; what an element ends up with must be the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest

from lxml import html

IMPORTANT = " !important"
SIDES = ("top", "right", "bottom", "left")
FOUR_OF = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}
IMPLIED = frozenset({"tbody", "colgroup"})  # HTML parsers write these themselves

_DECLARATION = re.compile(r"\s*([\w-]+)\s*:\s*((?:'[^']*'|\"[^\"]*\"|[^;'\"])*)")

Declarations = dict[str, str]


def differences(ours: str, theirs: str) -> list[str]:
    """Each element of two documents whose declarations differ, in words; none: they agree."""
    pairs = zip_longest(_styled(ours), _styled(theirs), fillvalue=("no element", {}))
    return [
        f"element {number}: <{one[0]}> {_only(one[1], other[1])} against "
        f"<{other[0]}> {_only(other[1], one[1])}"
        for number, (one, other) in enumerate(pairs, start=1)
        if one != other
    ]


def declared(style: str) -> Declarations:
    """What holds at the end of a style attribute: later wins, but not over `!important`."""
    holding: Declarations = {}
    for name, value in _DECLARATION.findall(style):
        for each, part in _longhands(name.lower(), _plain(value)):
            if part.endswith(IMPORTANT) or not holding.get(each, "").endswith(IMPORTANT):
                holding[each] = part
    return holding


def _styled(document: str) -> Iterator[tuple[str, Declarations]]:
    for element in html.document_fromstring(document).iter(html.etree.Element):
        style = element.get("style", "")
        if style or element.tag not in IMPLIED:
            yield element.tag, declared(style)


def _only(ours: Declarations, theirs: Declarations) -> Declarations:
    return {name: value for name, value in ours.items() if theirs.get(name) != value}


def _plain(value: str) -> str:
    """One spelling of a value: blanks, quotes, letters, a zero's unit, a colour's digits."""
    spaced = re.sub(r"\s*,\s*", ",", " ".join(value.replace('"', "'").split()).lower())
    marked = re.sub(r"\s*!\s*important$", IMPORTANT, spaced)
    unitless = re.sub(r"(?<![\w.#])0(?:px|em|%)(?![\w.])", "0", marked)
    return re.sub(r"#([0-9a-f])([0-9a-f])([0-9a-f])\b", r"#\1\1\2\2\3\3", unitless)


def _longhands(name: str, value: str) -> Iterator[tuple[str, str]]:
    """What a declaration sets. `background` is a colour in mails, and nothing else."""
    mark = IMPORTANT if value.endswith(IMPORTANT) else ""
    parts = value.removesuffix(IMPORTANT).split()
    if name in ("padding", "margin") and len(parts) in FOUR_OF:
        for side, which in zip(SIDES, FOUR_OF[len(parts)], strict=True):
            yield f"{name}-{side}", parts[which] + mark
    elif name == "border":
        yield from ((f"border-{side}", value) for side in SIDES)
    else:
        yield {"background": "background-color"}.get(name, name), value
