"""Which mail programs cope with what a mail uses: caniemail's findings, weighed by readers.

A ratchet: what the shipped templates already use, and what that costs, is written down and
accepted. Whatever comes on top of it, in a new template or in a publication's own, is a finding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from newsletter.rendering.quality.anatomy import Anatomy
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.quality.tree import Element
from newsletter.rendering.rendered import Severity

DATA = Path(__file__).parent / "data"
# Per cent of readers. Below the first nobody need be told; from the second on too many see it fail.
WORTH_TELLING = 1.0
TOO_MANY = 25.0
# Later tests by caniemail move figures a little; only a clear change is worth a finding.
DRIFT = 2.0
_LETTERS_LOST = {"n": 1.0, "a": 0.5}  # not supported; supported in part counts half
_NAMES = {"web-de": "WEB.DE", "gmx": "GMX", "samsung-email": "Samsung Email"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a feature loses. share: per cent of readers; programs: who, the many first."""

    feature: str
    title: str
    share: float
    programs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Support:
    """caniemail's findings for the programs in the table of shares."""

    package: str  # "caniemail 2.0.2"
    updated: str  # 2026-05-13
    programs: tuple[str, ...]
    titles: Mapping[str, str]
    letters: Mapping[str, str]  # feature: a letter a program: y, n, a (in part), u (unknown)


@dataclass(frozen=True, slots=True)
class Shares:
    """How many readers use which program. by_program: per cent, 100 in all."""

    as_of: str
    source: str
    by_program: Mapping[str, float]


@lru_cache(maxsize=1)
def support() -> Support:
    stored = json.loads((DATA / "caniemail.json").read_text(encoding="utf-8"))
    return Support(
        package=stored["package"],
        updated=stored["updated"],
        programs=tuple(stored["programs"]),
        titles=MappingProxyType({key: one[0] for key, one in stored["features"].items()}),
        letters=MappingProxyType({key: one[1] for key, one in stored["features"].items()}),
    )


@lru_cache(maxsize=1)
def shares() -> Shares:
    stored = json.loads((DATA / "shares.json").read_text(encoding="utf-8"))
    whole = sum(stored["shares"].values())
    return Shares(
        as_of=stored["as_of"],
        source=stored["source"],
        by_program=MappingProxyType(
            {program: 100 * share / whole for program, share in stored["shares"].items()}
        ),
    )


@lru_cache(maxsize=1)
def accepted() -> Mapping[str, float]:
    """What the shipped templates use: per cent of readers it was accepted to lose."""
    stored = json.loads((DATA / "accepted.json").read_text(encoding="utf-8"))
    return MappingProxyType(stored["features"])


@lru_cache(maxsize=512)
def cost(feature: str) -> Cost:
    """What it costs to use a feature that caniemail knows."""
    data, weights = support(), shares().by_program
    lost = {
        program: weights[program] * _LETTERS_LOST[letter]
        for program, letter in zip(data.programs, data.letters[feature], strict=True)
        if letter in _LETTERS_LOST
    }
    partly = {
        program
        for program, letter in zip(data.programs, data.letters[feature], strict=True)
        if letter == "a"
    }
    return Cost(
        feature,
        data.titles[feature],
        round(sum(lost.values()), 1),
        tuple(
            program_name(one) + (" (in part)" if one in partly else "")
            for one in sorted(lost, key=lambda one: -lost[one])
        ),
    )


def program_name(program: str) -> str:
    """`Gmail on iOS` for `gmail.ios`."""
    family, _, platform = program.partition(".")
    platforms = {"ios": "iOS", "macos": "macOS", "android": "Android", "windows": "Windows"}
    if platform == "outlook-com":
        return "Outlook.com"
    name = _NAMES.get(family, family.replace("-", " ").title())
    return f"{name} on {platforms.get(platform, 'the web')}"


def provenance() -> dict[str, str]:
    """Where the figures come from and how old they are, for whoever reads the findings."""
    return {
        "support": support().package,
        "support_updated": support().updated,
        "shares": shares().source,
        "shares_as_of": shares().as_of,
    }


def known_features(anatomy: Anatomy) -> dict[str, Element | int]:
    """Every feature the mail uses that caniemail knows, with its first element or line."""
    known = support().letters
    return {feature: at for feature, at in anatomy.features.items() if feature in known}


def _unaccepted(exhibit: Exhibit, low: float, high: float) -> Iterator[Fault]:
    for feature, at in known_features(exhibit.anatomy).items():
        price = cost(feature)
        standing = accepted().get(feature)
        if not low <= price.share < high:
            continue
        if standing is None or price.share > standing + DRIFT:
            place = f"style block, HTML line {at}" if isinstance(at, int) else exhibit.place(at)
            yield Fault(_told(price, standing), place)


def _told(price: Cost, standing: float | None) -> str:
    before = "" if standing is None else f", {standing:g} % when it was accepted"
    who = ", ".join(price.programs[:4]) + (
        f" and {len(price.programs) - 4} more" if len(price.programs) > 4 else ""
    )
    return f"{price.title} fails for {price.share:g} % of readers{before}: {who}"


def _many(exhibit: Exhibit) -> Iterator[Fault]:
    return _unaccepted(exhibit, TOO_MANY, 101.0)


def _some(exhibit: Exhibit) -> Iterator[Fault]:
    return _unaccepted(exhibit, WORTH_TELLING, TOO_MANY)


RULES = (
    Rule(
        "client-support-poor",
        Severity.ERROR,
        "A quarter of the readers or more would not see this as it is meant.",
        "do it another way: tables, inline styles and plain colours work everywhere",
        _many,
    ),
    Rule(
        "client-support",
        Severity.WARNING,
        "Some mail programs do not know this, and the shipped templates do without it.",
        "do without, or make sure that nothing is lost where it does not work",
        _some,
    ),
)
