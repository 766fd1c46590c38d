"""A rule as SQL with its values bound beside it: one condition over `subscriber s`.

What SQLite and PostgreSQL both speak. Every term is true or false and never unknown, so that `not`
means everybody else. No value and no name of the rule's ever enters the text: it is made of the
constants of `fields` and of numbered parameters.
"""

from __future__ import annotations

import re
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
_PARAMETER = re.compile(r":(segment_[0-9]+)\b")
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
        inside = f"({self.sql})" if self.sql else ""
        return text(f"{before} {inside} {after}").bindparams(*bound)


@dataclass(frozen=True, slots=True)
class Parts:
    """A rule as rows elsewhere that a reader has to have, and what holds of `s` besides.

    rows: by table, what holds of one row (`{row}`) that a reader has once at most. rest: "": no
    more. unless: what the rest does not hold of, each by an index and no two of one reader; empty
    where it cannot be said so.
    """

    rows: tuple[tuple[str, str], ...]
    rest: str
    unless: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)

    def statement(self, sql: str) -> TextClause:
        """`sql`, made of some of the parts, with their values bound."""
        named = set(_PARAMETER.findall(sql))
        values = {name: value for name, value in self.values.items() if name in named}
        return Condition("", values).statement(sql)


def compiled(
    rule: Rule, *, now: datetime, disposable_domains: Collection[str] = frozenset()
) -> Condition:
    """`rule` at the instant `now`.

    disposable_domains: in lower case and ASCII, for the flag `disposable`; none: nobody is.
    """
    compiling = _Compiling(now, disposable_domains, by_index=False)
    return Condition(compiling.sql(rule), compiling.values)


def parted(
    rule: Rule, *, now: datetime, disposable_domains: Collection[str] = frozenset()
) -> Parts:
    """`rule` at the instant `now`, with as much of it as can be in rows elsewhere."""
    compiling = _Compiling(now, disposable_domains, by_index=True)
    terms = rule.rules if isinstance(rule, tree.And) else (rule,)
    rows = [(term, compiling.row(term)) for term in terms]
    others = [term for term, row in rows if row is None]
    return Parts(
        rows=tuple(row for _term, row in rows if row),
        rest=" AND ".join(f"({compiling.sql(term)})" for term in others),
        unless=compiling.unless(others[0]) if len(others) == 1 else (),
        values=compiling.values,
    )


class _Compiling:
    """by_index: whether an index may lead to readers, in no order; else the list is walked by id, a
    page at a time, and no index of a column may come in between and have each page sorted.
    """

    def __init__(
        self, now: datetime, disposable_domains: Collection[str], *, by_index: bool
    ) -> None:
        self._now = now
        self._by_index = by_index
        self._domains = disposable_domains
        self._in_row = False  # whether the behaviour of a reader is that of `{row}`
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
            tree.Ever: lambda rule: f"{self._column(FIELDS[rule.field])} IS NOT NULL",
            tree.Numbered: self._numbered,
            tree.Silent: self._silent,
            tree.Flag: self._flag,
        }

    def sql(self, rule: Rule) -> str:
        return self._of_type[type(rule)](rule)

    def row(self, rule: Rule) -> tuple[str, str] | None:
        """A table, and what holds of a reader's one row in it where the rule holds of them.

        None where they may have several such rows, or none.
        """
        match rule:
            case tree.Not(tree.Silent(issues, opened=True)):
                return self.row(tree.Silent(issues))
            case tree.Compared(name, "=", value) if FIELDS[name].table and name != "source":
                return FIELDS[name].table, f"{{row}}.{FIELDS[name].sql} = {self._bind(value)}"
            case tree.Silent(opened=False) | tree.Numbered(operator=">" | ">=", number=1):
                return fields.ENGAGEMENT, self._of_row(rule)
            case tree.Ago(name) | tree.Within(name) | tree.Dated(name) | tree.Ever(name):
                return (fields.ENGAGEMENT, self._of_row(rule)) if FIELDS[name].table else None
        return None

    def unless(self, rule: Rule) -> tuple[str, ...]:
        """Whom a rule does not hold of, where they are likely to be few."""
        match rule:
            case tree.Ago("confirmed", ">", count, unit):
                then = self._now - _stretch(count, unit)
            case tree.Dated("confirmed", "before", day):
                then = _midnight(day)
            case _:
                return ()
        return (f"s.confirmed_at >= {self._bind(then)}", "s.confirmed_at IS NULL")

    def _of_row(self, rule: Rule) -> str:
        self._in_row = True
        test = self.sql(rule)
        self._in_row = False
        return test

    def _column(self, of: Field) -> str:
        if of.name == "domain" and not self._by_index:
            return f"({of.sql} || '')"
        if of.table != fields.ENGAGEMENT:
            return of.sql
        if self._in_row:
            return f"{{row}}.{of.sql}"
        one = f"(SELECT e.{of.sql} FROM engagement e WHERE e.subscriber_id = s.id)"  # noqa: S608
        return f"coalesce({one}, 0)" if of.kind is fields.Kind.NUMBER else one

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
        if name in _NORMAL:
            values = tuple(map(_NORMAL[name], values))
        tests = [self._bind(value) for value in values]
        if of.folded and name not in _NORMAL:
            inside = ", ".join(f"lower({bound})" for bound in tests)
            return self._spelled(of, f"lower({of.sql}) IN ({inside})")
        inside = ", ".join(tests)
        return self._held(of, f"{self._column(of)} IN ({inside})")

    def _held(self, of: Field, test: str) -> str:
        """`test` of a column of the subscriber, or of one of their rows elsewhere.

        Not EXISTS: a set of ids leads from the few to their rows, EXISTS looks at everybody.
        """
        if not of.table:
            return test
        return f"s.id IN (SELECT subscriber_id FROM {of.table} WHERE {test})"  # noqa: S608

    def _spelled(self, of: Field, test: str) -> str:
        """A test of a text with few spellings, made of each: its index leads from one to the next,
        and then to the readers who have it."""
        if of.name != "language" or not self._by_index:
            return test
        column = of.sql.removeprefix("s.")
        first = f"SELECT min({column}) FROM subscriber"  # noqa: S608
        following = f"{first} n WHERE n.{column} > s.{column}"
        return (
            f"{of.sql} IN (WITH RECURSIVE s({column}) AS ({first} UNION ALL SELECT ({following})"  # noqa: S608
            f" FROM s WHERE s.{column} IS NOT NULL) SELECT {column} FROM s WHERE {test})"
        )

    def _like(self, before: str, value: str, after: str) -> str:
        return self._bind(before + value.translate(_ESCAPED) + after)

    def _contains(self, rule: tree.Compared) -> str:
        of = FIELDS[rule.field]
        bound = self._like("%", rule.value, "%")
        # lower() on both sides: PostgreSQL's LIKE minds the case, SQLite's does not.
        test = f"lower({of.sql}) LIKE lower({bound}) ESCAPE '!'"
        return self._spelled(of, self._held(of, test))

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
        column = self._column(FIELDS[name])
        compared = (f"{column} {sign} {self._bind(instant)}" for sign, instant in tests)
        return " AND ".join((f"{column} IS NOT NULL", *compared))

    def _numbered(self, rule: tree.Numbered) -> str:
        column = self._column(FIELDS[rule.field])
        return f"{column} {_SIGNS[rule.operator]} {self._bind(rule.number)}"

    def _silent(self, rule: tree.Silent) -> str:
        sign = "<" if rule.opened else ">="
        return f"{self._column(_SILENCE)} {sign} {self._bind(rule.issues)}"

    def _flag(self, rule: tree.Flag) -> str:
        if rule.name == "role address":
            likes = (f"s.address_key LIKE {self._like('', f'{r}@', '%')} ESCAPE '!'"
                     for r in sorted(flags.ROLES))  # fmt: skip
            return " OR ".join(likes)
        if rule.name == "disposable":
            if not self._domains:
                return "1 = 0"
            domain = self._column(FIELDS["domain"])
            return f"{domain} IN {self._bind(tuple(sorted(self._domains)))}"
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


_NORMAL = {"address": _key, "domain": _domain}  # how a value is kept
_SILENCE = Field("silence", fields.Kind.NUMBER, fields.SILENCE, fields.ENGAGEMENT)
