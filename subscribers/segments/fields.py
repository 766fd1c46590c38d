"""What a rule can ask about: every field with its type, its words and where it is kept.

One table, `FIELDS`; the parser takes its words from it and the compiler its SQL. `s` is the
subscriber. Every SQL here is a constant of ours; values are bound beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from subscribers.models import SubscriberStatus


class Kind(StrEnum):
    """The type of a field, which decides what may follow it."""

    TEXT = "text"  # = != in, not in, contains
    INSTANT = "instant"  # > 30 days ago, within 30 days, before 2026-05-01, ever
    NUMBER = "number"  # = != < <= > >=
    FLAG = "flag"  # nothing: it holds or it does not


OPERATORS = {
    Kind.TEXT: ("=", "!=", "in", "not in", "contains"),
    Kind.INSTANT: (">", "<", "within", "before", "on", "after", "ever"),
    Kind.NUMBER: ("=", "!=", "<", "<=", ">", ">="),
    Kind.FLAG: (),
}

# Months and years are counted in days, so that a rule means the same every day.
UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
MAX_DAYS = 36_500
MAX_COUNT = 1_000_000_000  # of a number; both stores count so far


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to ask about.

    sql: the column or expression; of a flag the condition. table: where it is kept by
    subscriber_id, if not with the subscriber: a reader has several texts, and at most one row of
    what is known of their behaviour. choices: all the words a text can be. folded: compared in
    lower case (of ASCII where the store knows no more).
    """

    name: str
    kind: Kind
    sql: str
    table: str = ""
    choices: tuple[str, ...] = ()
    folded: bool = False
    meaning: str = ""


ENGAGEMENT = "engagement"
# Issues in a row without a human sign of life: `silent for 3 issues`, `opened last 4 issues`.
SILENCE = "issues_without"

FIELDS = {
    field.name: field
    for field in (
        Field("address", Kind.TEXT, "s.address_key", folded=True, meaning="the whole address"),
        Field("domain", Kind.TEXT, "s.domain", folded=True, meaning="what follows the @"),
        Field("name", Kind.TEXT, "s.name", folded=True, meaning="how they are greeted"),
        Field("status", Kind.TEXT, "s.status", choices=tuple(SubscriberStatus)),
        Field("frequency", Kind.TEXT, "s.frequency", choices=("weekly", "monthly")),
        Field("language", Kind.TEXT, "s.language", folded=True, meaning="the one they chose"),
        Field("timezone", Kind.TEXT, "s.timezone", folded=True, meaning="the one they chose"),
        Field("topic", Kind.TEXT, "topic", "subscriber_topic", meaning="chosen by name"),
        Field("tag", Kind.TEXT, "tag", "subscriber_tag", meaning="put on by an operator"),
        Field("source", Kind.TEXT, "source", "consent_record", meaning="of any consent"),
        Field("confirmed", Kind.INSTANT, "s.confirmed_at", meaning="the first time"),
        Field("signed_up", Kind.INSTANT, "s.created_at", meaning="or came with a list"),
        Field("left", Kind.INSTANT, "s.unsubscribed_at", meaning="and did not come back"),
        Field("paused_until", Kind.INSTANT, "s.paused_until"),
        Field(
            "seen",
            Kind.INSTANT,
            "last_human_at",
            ENGAGEMENT,
            meaning="the last human sign of life",
        ),
        Field("soft_bounces", Kind.NUMBER, "soft_bounces", ENGAGEMENT, meaning="issues in a row"),
        Field("tracked", Kind.FLAG, "s.is_tracked", meaning="did not switch tracking off"),
        Field(
            "suppressed",
            Kind.FLAG,
            "s.address_key IN (SELECT p.address_key FROM suppression p WHERE p.lifted_at IS NULL)",
        ),
        Field("role address", Kind.FLAG, "", meaning="info@, sales@, ..."),
        Field("disposable", Kind.FLAG, "", meaning="at a throw-away domain"),
    )
}
