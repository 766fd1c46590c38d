"""Human, machine or unknown: the rules by which an event is taken for one of them, in order.

Pure: all events of one reader and one issue go in together, so neither the order in which they came
nor how late one was matters. The first rule that holds gives the label. Whatever is compared
survives 30 days: programs, not agents; whether two networks are the same, within `FARTHEST_S`.

Changing what any rule answers means another `RULES_VERSION`: labels carry it, and `newsletter
events classify --all` looks at all of history again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from newsletter.tracking.agents import Nature, Program, program_of
from newsletter.tracking.events import EventKind, Label

RULES_VERSION = 1

TOO_SOON_S = 10.0  # after delivery: nobody opens, reads and follows that fast
SKEW_S = 60.0  # how far our clock and a provider's may differ
BURST_S, BURST_LINKS = 5.0, 3
SWEEP_S, SWEEP_LINKS, SWEEP_SHARE = 3_600.0, 8, 0.75
PROBE_S = 60.0
CANARY_ANYWHERE_S = 120.0  # whoever was near: scanners ask from several machines
CANARY_NETWORK_S = 3_600.0  # from the same network: scanners with patience
CANARY_PROGRAM_S = 86_400.0  # the same program on the same network
PROXY_AFTER_S = 60.0
ACT_S = 3_600.0
FARTHEST_S = CANARY_PROGRAM_S  # events further apart are never compared by their networks

HEAD = "HEAD"
MAIL = "MAIL"  # the method of what came by mail (RFC 8058's elder sibling, `mailto:`)
_ACTS = frozenset({EventKind.CLICK, EventKind.VOTE, EventKind.PREFERENCES})
_ASKED = frozenset({EventKind.CLICK, EventKind.VOTE})


@dataclass(frozen=True, slots=True)
class Fact:
    """An event as the rules see it. at: seconds since 1970."""

    id: int
    kind: str
    link: int | None
    at: float
    method: str
    agent: str
    network: str

    @property
    def program(self) -> Program:
        return program_of(self.agent)


Verdicts = dict[int, "Rule"]  # by event id


class Scene:
    """All that is known of one reader and one issue, and what was found out so far.

    submitted_at, delivered_at: seconds since 1970, None where nobody said. canary: the number of
    the link nobody sees. links: how many links the issue has.
    """

    def __init__(
        self,
        facts: Iterable[Fact],
        *,
        submitted_at: float | None = None,
        delivered_at: float | None = None,
        canary: int | None = None,
        links: int = 0,
    ) -> None:
        self.facts = sorted(facts, key=lambda fact: (fact.at, fact.id))
        self.submitted_at, self.delivered_at = submitted_at, delivered_at
        self.acts: list[float] = []  # instants of what a person did, in order
        follows = [fact for fact in self.facts if fact.kind in _ASKED]
        self.bursts = _together(follows, BURST_S, BURST_LINKS)
        most = max(SWEEP_LINKS, round(SWEEP_SHARE * links))
        self.sweeps = _together(follows, SWEEP_S, most)
        self._probes = _instants((_place(one), one.at) for one in self.facts if one.method == HEAD)
        self._trapped = [] if canary is None else [f for f in follows if f.link == canary]
        self._canary = _canary_instants(self._trapped)

    @property
    def reached_at(self) -> float | None:
        """When the mail can have been seen first, as far as we know.

        The later of the two: what arrived before it left was an earlier copy, or by another clock.
        """
        known = [at for at in (self.submitted_at, self.delivered_at) if at is not None]
        return max(known, default=None)

    def is_probed(self, fact: Fact) -> bool:
        """Whether the same program asked for headers alone, from there, about then."""
        return _is_near(self._probes.get(_place(fact)), fact.at, PROBE_S)

    def is_trapped(self, fact: Fact) -> bool:
        """Whether whoever followed the link nobody sees may be behind this, too."""
        if not self._trapped:
            return False
        if _is_near(self._canary.get(None), fact.at, CANARY_ANYWHERE_S):
            return True
        if not fact.network:
            return False
        return _is_near(self._canary.get(fact.network), fact.at, CANARY_NETWORK_S) or _is_near(
            self._canary.get(_place(fact)), fact.at, CANARY_PROGRAM_S
        )

    def is_beside_an_act(self, fact: Fact) -> bool:
        return _is_near(self.acts, fact.at, ACT_S)


@dataclass(frozen=True, slots=True)
class Rule:
    """name: at most 24 characters. why: what it rests on, for people."""

    name: str
    label: Label
    why: str
    holds: Callable[[Fact, Scene], bool]


def _by_mail(fact: Fact, _scene: Scene) -> bool:
    return fact.method == MAIL


def _head(fact: Fact, _scene: Scene) -> bool:
    return fact.method == HEAD


def _ahead(fact: Fact, _scene: Scene) -> bool:
    return fact.program.nature is Nature.AHEAD and fact.kind != EventKind.UNSUBSCRIBE


def _machine_apple(fact: Fact, scene: Scene) -> bool:
    return _ahead(fact, scene) and fact.program.is_whole


def _scanner_agent(fact: Fact, _scene: Scene) -> bool:
    # A mailbox provider leaves in one click for its user, from a server, with any agent or none.
    if fact.kind == EventKind.UNSUBSCRIBE:
        return False
    return fact.program.nature in (Nature.SCANNER, Nature.NONE)


def _canary(fact: Fact, scene: Scene) -> bool:
    return scene.is_trapped(fact)


def _burst(fact: Fact, scene: Scene) -> bool:
    return fact.id in scene.bursts


def _sweep(fact: Fact, scene: Scene) -> bool:
    return fact.id in scene.sweeps


def _probed(fact: Fact, scene: Scene) -> bool:
    return scene.is_probed(fact)


def _too_soon(fact: Fact, scene: Scene) -> bool:
    reached_at = scene.reached_at
    if reached_at is None:
        return False
    left_at = scene.submitted_at if scene.submitted_at is not None else reached_at
    # Before it left at all: what came of an earlier copy, where it was sent again.
    return left_at - SKEW_S <= fact.at < reached_at + TOO_SOON_S


def _asked(fact: Fact, _scene: Scene) -> bool:
    return fact.kind in (EventKind.UNSUBSCRIBE, EventKind.PREFERENCES)


def _voted(fact: Fact, _scene: Scene) -> bool:
    return fact.kind == EventKind.VOTE and fact.program.nature is Nature.BROWSER


def _clicked(fact: Fact, _scene: Scene) -> bool:
    return fact.kind == EventKind.CLICK and fact.program.nature is Nature.BROWSER


def _mail_program(fact: Fact, _scene: Scene) -> bool:
    return fact.kind == EventKind.IMAGE_LOAD and fact.program.nature is Nature.MAIL


def _proxy(fact: Fact, scene: Scene) -> bool:
    if fact.kind != EventKind.IMAGE_LOAD or fact.program.nature is not Nature.PROXY:
        return False
    reached_at = scene.reached_at
    return reached_at is not None and fact.at >= reached_at + PROXY_AFTER_S


def _beside_act(fact: Fact, scene: Scene) -> bool:
    return fact.kind == EventKind.IMAGE_LOAD and scene.is_beside_an_act(fact)


def _unproven(_fact: Fact, _scene: Scene) -> bool:
    return True


RULES: tuple[Rule, ...] = (
    Rule("by_mail", Label.HUMAN, "it came as a mail of theirs, not as a request", _by_mail),
    Rule("head", Label.MACHINE, "asked for the headers alone; no mail program does", _head),
    Rule(
        "machine_apple",
        Label.MACHINE,
        "Apple Mail loads every mail's images before anybody opens it, as `Mozilla/5.0`",
        _machine_apple,
    ),
    Rule(
        "prefetch",
        Label.MACHINE,
        "Gmail loads images of new mail ahead while its app is open, under a name of its own",
        _ahead,
    ),
    Rule(
        "scanner_agent",
        Label.MACHINE,
        "a filter, a crawler, a link preview or a library by its own name, or no name at all",
        _scanner_agent,
    ),
    Rule(
        "canary",
        Label.MACHINE,
        "followed the link that no person sees: that, all within 2 minutes of it, all from its "
        "network within the hour, and the same program from there within the day",
        _canary,
    ),
    Rule("burst", Label.MACHINE, "3 links or votes, or more, within 5 seconds", _burst),
    Rule(
        "sweep",
        Label.MACHINE,
        "three quarters of the issue's links, 8 at least, within an hour",
        _sweep,
    ),
    Rule(
        "probed",
        Label.MACHINE,
        "the same program asked for headers alone from there within a minute",
        _probed,
    ),
    Rule(
        "too_soon",
        Label.MACHINE,
        "less than 10 seconds after delivery, or before it: filters look at mail on its way in",
        _too_soon,
    ),
    Rule("asked", Label.HUMAN, "a form of theirs was sent: to leave, or to choose", _asked),
    Rule("voted", Label.HUMAN, "pressed the button on the vote's page, in a browser", _voted),
    Rule("clicked", Label.HUMAN, "followed a link into a browser", _clicked),
    Rule(
        "mail_program",
        Label.HUMAN,
        "a mail program loads what it shows, and scanners pose as browsers, not as one",
        _mail_program,
    ),
    Rule(
        "proxy",
        Label.HUMAN,
        "Gmail's image proxy asks when the mail is opened (it loads ahead under another name); "
        "a minute after delivery at the earliest, and only where that instant is known",
        _proxy,
    ),
    Rule(
        "beside_act",
        Label.HUMAN,
        "within an hour of a click or vote of theirs: who acts on a mail has it before them",
        _beside_act,
    ),
    Rule(
        "unproven",
        Label.UNKNOWN,
        "nothing tells a person from a machine: images loaded by what calls itself a browser, as "
        "scanners do, by relays that may load ahead (Yahoo, Apple's systems), by names unknown",
        _unproven,
    ),
)


def judge(scene: Scene) -> Verdicts:
    """The rule that holds for each event of a scene, by event id; `rule.label` is its label."""
    verdicts: Verdicts = {}
    rest: Sequence[Fact] = scene.facts
    for rule in RULES:
        left = []
        for fact in rest:
            if rule.holds(fact, scene):
                verdicts[fact.id] = rule
                if rule.label is Label.HUMAN and fact.kind in _ACTS:
                    insort(scene.acts, fact.at)
            else:
                left.append(fact)
        rest = left
        if not rest:
            break
    return verdicts


K = TypeVar("K")
_Place = tuple[str, str]  # a network and a program


def _place(fact: Fact) -> _Place:
    return fact.network, fact.program.agent


def _canary_instants(trapped: Sequence[Fact]) -> dict[str | _Place | None, list[float]]:
    """When the canary was followed: at all (None), from a network, by a program from there."""
    keyed: list[tuple[str | _Place | None, float]] = []
    for fact in trapped:
        keyed += [(None, fact.at), (fact.network, fact.at), (_place(fact), fact.at)]
    return _instants(keyed)


def _instants(keyed: Iterable[tuple[K, float]]) -> dict[K, list[float]]:
    found: defaultdict[K, list[float]] = defaultdict(list)
    for key, at in keyed:
        found[key].append(at)
    return {key: sorted(instants) for key, instants in found.items()}


def _is_near(instants: Sequence[float] | None, at: float, within_s: float) -> bool:
    """Whether one of the instants, in order, is no further than that away."""
    if not instants:
        return False
    return bisect_left(instants, at - within_s) < bisect_right(instants, at + within_s)


def _together(follows: Sequence[Fact], within_s: float, least: int) -> frozenset[int]:
    """The ids of those, in order of time, that stand in a stretch with so many different links."""
    if len(follows) < least:
        return frozenset()
    held: Counter[tuple[str, int]] = Counter()
    marked = [0] * (len(follows) + 1)  # +1 where a stretch begins, -1 behind its end
    start = 0
    for end, fact in enumerate(follows):
        held[_followed(fact)] += 1
        while follows[start].at < fact.at - within_s:
            _drop(held, _followed(follows[start]))
            start += 1
        if len(held) >= least:
            marked[start] += 1
            marked[end + 1] -= 1
    depth, inside = 0, set()
    for fact, change in zip(follows, marked, strict=False):
        depth += change
        if depth:
            inside.add(fact.id)
    return frozenset(inside)


def _followed(fact: Fact) -> tuple[str, int]:
    """What was followed; a vote without a number is each time another."""
    return fact.kind, fact.id if fact.link is None else fact.link


def _drop(held: Counter[tuple[str, int]], key: tuple[str, int]) -> None:
    held[key] -= 1
    if not held[key]:
        del held[key]
