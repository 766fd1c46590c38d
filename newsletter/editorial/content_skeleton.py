"""A new comparison's file: a draft with every key and heading in place, to be filled in."""

from __future__ import annotations

import json
from collections.abc import Sequence

from newsletter.editorial.content_model import Reviewer
from newsletter.editorial.content_schema import SCHEMA_FILE

_FRONT = """\
---
# yaml-language-server: $schema=../{schema}
title: {title}
deck: Which one should you ship with?
verdict: ""  # our reason in one sentence, at most 160 characters
status: draft  # finished: it may go into an issue
prices_as_of:  # the day both prices were looked up, such as 2026-11-20
panel:  # ship per cent of both, such as [50, 100]; must agree with the takes
tools:
{tools}
---
"""

_TOOL = """\
  - name: {name}
    category: ""
    tagline: ""
    description: ""
    entry_price: ""
    price_note: ""  # may stay empty
    community: none  # or {{ship: 12, skip: 3}}"""


def skeleton(title: str, left: str, right: str, reviewers: Sequence[Reviewer]) -> str:
    """A draft that loads as it stands.

    Under each `###` heading an editor adds `: ship` or `: skip`, the quote behind `>`, and after an
    empty line the edited excerpt.
    """
    tools = "\n".join(_TOOL.format(name=_quoted(name)) for name in (left, right))
    front = _FRONT.format(schema=SCHEMA_FILE, title=_quoted(title), tools=tools)
    takes = "".join(
        f"\n## {reviewer.role}\n\n### {left}:\n\n> \n\n### {right}:\n\n> \n"
        for reviewer in reviewers
    )
    return front + takes


def _quoted(text: str) -> str:
    """`text` as a YAML double-quoted scalar: JSON's strings are a part of those."""
    return json.dumps(text, ensure_ascii=False)
