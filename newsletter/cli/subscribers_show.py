"""What `newsletter subscribers show` prints of one reader, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from newsletter.cli.screen import on_terminal, print_facts, say, stamp

Facts = Mapping[str, Any]


def print_reader(facts: Facts) -> None:
    """Everything in it that is not empty; the parts with a heading each."""
    print_facts(_profile(facts))
    for heading, lines in (
        ("consent", [line for one in facts["consent"] for line in _consent(one)]),
        ("deliveries", [_delivery(one) for one in facts["deliveries"]]),
        ("reports on our mail", [_report(one) for one in facts["reports"]]),
        ("operators", [_operator(one) for one in facts["operators"]]),
    ):
        if lines:
            say(f"{heading}:")
        for line in lines:
            say(_in_width(f"  {line}"))


def _profile(facts: Facts) -> Iterator[tuple[str, object]]:
    choices, behaviour = facts["choices"], facts["engagement"]
    yield from ((name, facts[name]) for name in ("id", "address", "name", "status"))
    yield "suppressed", _suppression(facts["suppression"])
    for name in ("created", "confirmed", "unsubscribed"):
        yield name, _at(facts[f"{name}_at"])
    yield "paused until", _at(choices["paused_until"])
    yield "tags", ", ".join(facts["tags"])
    yield "topics", ", ".join(choices["topics"]) or "all"
    yield "frequency", choices["frequency"]
    yield "language", choices["language"]
    yield "time zone", choices["timezone"]
    yield "tracking", "on" if choices["is_tracked"] else "off, as they chose"
    yield "seen last", _at(behaviour["last_human_at"]) or "never"
    yield "issues since", behaviour["issues_without"] or ""
    yield "soft bounces", behaviour["soft_bounces"] or ""


def _suppression(standing: Facts | None) -> str:
    if standing is None:
        return ""
    detail = f" ({standing['detail']})" if standing["detail"] else ""
    return f"{_words(standing['reason'])}, since {_at(standing['at'])}{detail}"


def _consent(record: Facts) -> Iterator[str]:
    """`2026-11-23 12:00 UTC  confirmed by form`, and what belongs to it below."""
    network = f" from {record['network']}" if record["network"] else ""
    yield f"{_at(record['at'])}  {_words(record['action'])} by {record['source']}{network}"
    version = f" (version {record['version']})" if record.get("version") else ""
    given_on = f", given on {record['given_on']}" if record["given_on"] else ""
    if record["wording"]:
        yield f"    “{record['wording']}”{version}{given_on}"
    if record.get("detail"):
        yield "    " + ", ".join(f"{name}: {value}" for name, value in record["detail"].items())


def _delivery(delivery: Facts) -> str:
    reason = f" ({delivery['reason']})" if delivery["reason"] else ""
    return f"issue {delivery['issue']}: {delivery['state']}{reason}"


def _report(report: Facts) -> str:
    told = " ".join(part for part in (report["code"], report["reason"]) if part)
    said = f": {told}" if told else ""
    return f"{_at(report['at'])}  {_words(report['kind'])}, {_words(report['verdict'])}{said}"


def _operator(act: Facts) -> str:
    undone = f", undone by entry {act['undone_by']}" if act["undone_by"] else ""
    return f"{_at(act['at'])}  {act['action']} by {act['by']} (entry {act['entry']}{undone})"


def _in_width(line: str) -> str:
    """On a terminal a long line goes on below itself; in a pipe it stays one line."""
    if not on_terminal():
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return fill(line, get_terminal_size().columns, subsequent_indent=indent)


def _at(instant: str | None) -> str:
    return stamp(datetime.fromisoformat(instant)) if instant else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
