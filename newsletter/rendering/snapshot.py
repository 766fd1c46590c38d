"""What a rendered issue is a function of, kept beside its bytes.

A snapshot is the whole view as JSON, the hash of every template file, and the versions of what
turns them into bytes. From it the issue is rendered again years later, and where the bytes are
not the same, it says what else is not.
"""

from __future__ import annotations

import hashlib
import json
import platform
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from newsletter import __version__
from newsletter.errors import RefusedError
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.view import HeardView, IssueView

# Each decides over bytes of the mail: markup, escapes, the order of declarations.
LIBRARIES = ("jinja2", "markupsafe", "mjml-python", "premailer", "cssselect", "cssutils", "lxml")
NOT_THERE = "none"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The inputs of one render. templates: of each name, `own` or `bundled` and a sha256."""

    view: Json
    revisions: Mapping[str, int]  # of each comparison's slug, the revision the view came from
    templates: Mapping[str, tuple[str, str]]
    versions: Mapping[str, str]

    def as_view(self) -> IssueView:
        """The view it holds. Raises RefusedError where this version has another kind of view."""
        return view_of(self.view)

    def to_dict(self) -> Json:
        """For the store. The view's own hash goes with it, so that damage shows."""
        return {
            "view": self.view,
            "view_sha256": _digest(self.view),
            "revisions": dict(self.revisions),
            "templates": {name: list(use) for name, use in self.templates.items()},
            "versions": dict(self.versions),
        }


def take(view: IssueView, rendered: RenderedIssue, revisions: Mapping[str, int]) -> Snapshot:
    """The inputs of a render that was just made."""
    templates = {use.name: (use.origin.value, use.sha256) for use in rendered.templates}
    return Snapshot(to_json(view), revisions, templates, versions())


def read(stored: Json) -> Snapshot:
    """What `to_dict` wrote. Raises RefusedError where it is not whole, or not as it was written."""
    try:
        snapshot = Snapshot(
            stored["view"],
            stored["revisions"],
            {name: (origin, sha256) for name, (origin, sha256) in stored["templates"].items()},
            stored["versions"],
        )
        is_whole = stored["view_sha256"] == _digest(snapshot.view)
    except (KeyError, TypeError, ValueError, AttributeError):
        is_whole = False
    if not is_whole:
        raise RefusedError(
            "the stored snapshot is damaged: it is not what was written when the issue rendered",
            hint="look for it in a backup of the database",
        )
    return snapshot


def differences(then: Snapshot, now: Snapshot) -> tuple[str, ...]:
    """What went into a render and is not the same now: templates, then versions."""
    return (*_template_changes(then, now), *_version_changes(then, now))


def moved_on(then: Snapshot, now: Snapshot) -> tuple[str, ...]:
    """What the issue would be made of today, and was not: revisions, and fields of its view."""
    revisions = [
        f"comparison {slug}: revision {number} -> {now.revisions[slug]}"
        for slug, number in then.revisions.items()
        if now.revisions.get(slug, number) != number
    ]
    places = dict.fromkeys(_unequal(then.view, now.view, ""))
    return (*revisions, *(f"{place} is different now" for place in places))


def versions() -> dict[str, str]:
    """Of Python, of ourselves, and of each library that shapes bytes."""
    found = {"newsletter": f"{__version__}+{_own_code()}"}
    found["python"] = platform.python_version()
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = NOT_THERE
    return found


def to_json(view: IssueView) -> Json:
    """The view as plain JSON values; `view_of` reads it back equal."""
    plain: Json = _plain(view)
    return plain


def view_of(values: Json) -> IssueView:
    """The view that `to_json` wrote; fields that came later have their defaults.

    Raises RefusedError for a field this version does not know, or misses.
    """
    view: IssueView = _read(IssueView, values, "view")
    return view


def heard_of(values: Json) -> HeardView | None:
    """What a stored view tells of the issue before; None where it tells nothing of one.

    Raises RefusedError for a field this version does not know, or misses.
    """
    stored = values.get("heard")
    heard: HeardView | None = None if stored is None else _read(HeardView, stored, "view.heard")
    return heard


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


def _read(kind: Any, value: Any, place: str) -> Any:
    """`value` as the annotation `kind` wants it."""
    if get_origin(kind) in (Union, types.UnionType):
        known = [one for one in get_args(kind) if one is not type(None)]
        return None if value is None else _read(known[0], value, place)
    try:
        if get_origin(kind) is tuple:
            return _tuple(get_args(kind), value, place)
        if is_dataclass(kind):
            return _instance(kind, value, place)
        if kind in (date, datetime):
            return kind.fromisoformat(value)
        return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value
    except (TypeError, ValueError) as error:
        raise _foreign(place) from error


def _tuple(kinds: tuple[Any, ...], values: list[Any], place: str) -> tuple[Any, ...]:
    each = kinds[:1] * len(values) if kinds[1:] == (...,) else kinds
    pairs = zip(each, values, strict=True)
    return tuple(_read(kind, item, f"{place}[{n}]") for n, (kind, item) in enumerate(pairs))


def _instance(kind: Any, values: Json, place: str) -> Any:
    hints = get_type_hints(kind)
    needed = {
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }
    odd = (needed - values.keys()) | (values.keys() - hints.keys())
    if odd:
        raise _foreign(f"{place}.{min(odd)}")
    return kind(
        **{name: _read(hints[name], item, f"{place}.{name}") for name, item in values.items()}
    )


def _foreign(place: str) -> RefusedError:
    return RefusedError(
        f"the snapshot was taken by another version of this program: it differs at {place}",
        hint="rebuild the issue with the version of its day",
    )


def _template_changes(then: Snapshot, now: Snapshot) -> Iterator[str]:
    for name in sorted({*then.templates, *now.templates}):
        was, here = then.templates.get(name), now.templates.get(name)
        if was is None:
            yield f"template {name} is new"
        elif here is None:
            yield f"template {name} is no longer used"
        elif was[0] != here[0]:
            yield f"template {name} was {_WHOSE[was[0]]} and is {_WHOSE[here[0]]} now"
        elif was[1] != here[1]:
            yield f"template {name} changed ({here[0]})"


_WHOSE = {"own": "the publication's own", "bundled": "the bundled one"}


def _version_changes(then: Snapshot, now: Snapshot) -> Iterator[str]:
    for name in sorted({*then.versions, *now.versions}):
        was, here = then.versions.get(name, NOT_THERE), now.versions.get(name, NOT_THERE)
        if was != here:
            yield f"{name} {was} -> {here}"


def _unequal(then: Any, now: Any, place: str) -> Iterator[str]:
    """Where two JSON values differ, the deepest places they share."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            yield from _unequal(then.get(key), now.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (was, here) in enumerate(zip(then, now, strict=True)):
            yield from _unequal(was, here, f"{place}[{index}]")
    elif then != now:
        yield place


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@cache
def _own_code() -> str:
    """A short hash of this package: between two releases the version does not move."""
    whole = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:8]
