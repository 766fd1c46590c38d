"""A rule as SQL with its values bound beside it: one condition over `subscriber s`.

What SQLite and PostgreSQL both speak. Every term is true or false and never unknown, so that `not`
means everybody else. No value and no name of the rule's ever enters the text: it is made of the
constants of `fields` and of numbered parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import TextClause, bindparam, text
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers import flags
from subscribers.address import EmailAddress
from subscribers.errors import AddressError
from subscribers.segments import fields, tree
from subscribers.segments.fields import FIELDS, UNIT_DAYS, Field
from subscribers.segments.tree import Rule

_SIGNS = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_ESCAPED = str.maketrans({"!": "!!", "%": "!%", "_": "!_"})


@dataclass(frozen=True, slots=True)
class Condition:
    """What holds of a subscriber `s`: SQL and the values it names."""

    sql: str
    values: dict[str, Any] = field(default_factory=dict)

    def statement(self, before: str, after: str = "") -> TextClause:
        """`before`, the condition, `after` as a statement with the values bound.

        Both are constants of the caller's, never input.
        """
        bound = [
            bindparam(name, value, type_=UTCDateTime())
            if isinstance(value, datetime)
            else bindparam(name, value, expanding=isinstance(value, tuple))
            for name, value in self.values.items()
        ]
        return text(f"{before} ({self.sql}) {after}").bindparams(*bound)


def compiled(
    rule: Rule, *, now: datetime, disposable_domains: Collection[str] = frozenset()
) -> Condition:
    """`rule` at the instant `now`.

    disposable_domains: in lower case and ASCII, for the flag `disposable`; none: nobody is.
    """
    compiling = _Compiling(now, disposable_domains)
    return Condition(compiling.sql(rule), compiling.values)


class _Compiling:
    def __init__(self, now: datetime, disposable_domains: Collection[str]) -> None:
        self._now = now
        self._domains = disposable_domains
        self.values: dict[str, Any] = {}
        self._of_type: dict[type, Callable[[Any], str]] = {
            tree.And: lambda rule: self._joined(rule.rules, " AND "),
            tree.Or: lambda rule: self._joined(rule.rules, " OR "),
            tree.Not: lambda rule: f"NOT ({self.sql(rule.rule)})",
            tree.Compared: self._compared,
            tree.Listed: self._listed,
            tree.Ago: self._ago,
            tree.Within: self._within,
            tree.Dated: self._dated,
            tree.Ever: lambda rule: f"{FIELDS[rule.field].sql} IS NOT NULL",
            tree.Numbered: self._numbered,
            tree.Silent: self._silent,
            tree.Flag: self._flag,
        }

    def sql(self, rule: Rule) -> str:
        return self._of_type[type(rule)](rule)

    def _joined(self, rules: tuple[Rule, ...], word: str) -> str:
        return word.join(f"({self.sql(rule)})" for rule in rules)

    def _bind(self, value: object) -> str:
        name = f"segment_{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def _compared(self, rule: tree.Compared) -> str:
        if rule.operator == "contains":
            return self._contains(rule)
        test = self._is_one_of(rule.field, (rule.value,))
        return f"NOT ({test})" if rule.operator == "!=" else test

    def _listed(self, rule: tree.Listed) -> str:
        test = self._is_one_of(rule.field, rule.values)
        return test if rule.inside else f"NOT ({test})"

    def _is_one_of(self, name: str, values: tuple[str, ...]) -> str:
        of = FIELDS[name]
        if name == "domain":
            return self._at_domains([_domain(value) for value in values])
        if name == "address":
            values = tuple(_key(value) for value in values)
        tests = [self._bind(value) for value in values]
        if of.folded and name != "address":
            inside = ", ".join(f"lower({bound})" for bound in tests)
            return f"lower({of.sql}) IN ({inside})"
        inside = ", ".join(tests)
        return self._held(of, f"{of.sql} IN ({inside})")

    def _held(self, of: Field, test: str) -> str:
        """`test` of a column of the subscriber, or of one of their rows elsewhere.

        Not EXISTS: a set of ids leads from the few to their rows, EXISTS looks at everybody.
        """
        if not of.table:
            return test
        return f"s.id IN (SELECT subscriber_id FROM {of.table} WHERE {test})"  # noqa: S608

    def _at_domains(self, domains: list[str]) -> str:
        # By its end: the unique index on the address holds all that this looks at.
        likes = (f"s.address_key LIKE {self._like('%@', d, '')} ESCAPE '!'" for d in domains)
        return " OR ".join(likes)

    def _like(self, before: str, value: str, after: str) -> str:
        return self._bind(before + value.translate(_ESCAPED) + after)

    def _contains(self, rule: tree.Compared) -> str:
        of = FIELDS[rule.field]
        before = "%@%" if rule.field == "domain" else "%"
        bound = self._like(before, rule.value, "%")
        # lower() on both sides: PostgreSQL's LIKE minds the case, SQLite's does not.
        test = f"lower({of.sql}) LIKE lower({bound}) ESCAPE '!'"
        return self._held(of, test)

    def _ago(self, rule: tree.Ago) -> str:
        then = self._now - _stretch(rule.count, rule.unit)
        return self._instant(rule.field, ("<" if rule.operator == ">" else ">", then))

    def _within(self, rule: tree.Within) -> str:
        then = self._now - _stretch(rule.count, rule.unit)
        return self._instant(rule.field, (">=", then), ("<=", self._now))

    def _dated(self, rule: tree.Dated) -> str:
        starts, ends = _midnight(rule.day), _midnight(rule.day + timedelta(days=1))
        tests = {
            "before": [("<", starts)],
            "on": [(">=", starts), ("<", ends)],
            "after": [(">=", ends)],
        }
        return self._instant(rule.field, *tests[rule.operator])

    def _instant(self, name: str, *tests: tuple[str, datetime]) -> str:
        column = FIELDS[name].sql
        compared = (f"{column} {sign} {self._bind(instant)}" for sign, instant in tests)
        return " AND ".join((f"{column} IS NOT NULL", *compared))

    def _numbered(self, rule: tree.Numbered) -> str:
        return f"{FIELDS[rule.field].sql} {_SIGNS[rule.operator]} {self._bind(rule.number)}"

    def _silent(self, rule: tree.Silent) -> str:
        sign = "<" if rule.opened else ">="
        return f"{fields.SILENCE_SQL} {sign} {self._bind(rule.issues)}"

    def _flag(self, rule: tree.Flag) -> str:
        if rule.name == "role address":
            likes = (f"s.address_key LIKE {self._like('', f'{r}@', '%')} ESCAPE '!'"
                     for r in sorted(flags.ROLES))  # fmt: skip
            return " OR ".join(likes)
        if rule.name == "disposable":
            if not self._domains:
                return "1 = 0"
            return f"{flags.DOMAIN_SQL} IN {self._bind(tuple(sorted(self._domains)))}"
        return FIELDS[rule.name].sql


def _stretch(count: int, unit: str) -> timedelta:
    return timedelta(days=count * UNIT_DAYS[unit])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _domain(value: str) -> str:
    """As addresses are kept: lower case, ASCII."""
    bare = value.strip().removeprefix("@").lower()
    try:
        return EmailAddress.parse(f"a@{bare}").ascii_domain
    except AddressError:
        return bare


def _key(value: str) -> str:
    try:
        return EmailAddress.parse(value).key
    except AddressError:
        return value.strip().lower()
