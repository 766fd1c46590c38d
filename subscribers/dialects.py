"""The shapes in which lists come and go: ours, and the export files of other services.

All of it is data. A dialect is known by some of its columns; what a column means is told by a
`Field`, what a status means by a `Standing`. Each has a line on where its column names come from;
what could not be looked up is not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Field(StrEnum):
    """What a column may be taken for."""

    EMAIL = "email"
    NAME = "name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    STATUS = "status"  # a word the dialect knows
    SUPPRESSED = "suppressed"  # complaint, hard_bounce or manual
    LEFT_AT = "left_at"  # anything in it: has left
    BOUNCED_AT = "bounced_at"  # anything in it: the mailbox does not exist
    WANTS_MAIL = "wants_mail"  # true or false
    MAIL_OFF = "mail_off"  # true or false
    TAGS = "tags"  # separated by commas
    TOPICS = "topics"  # separated by commas
    CONSENT = "consent"  # what they agreed to, and how
    CONSENT_DATE = "consent_date"  # when; the first of its columns that is not blank


class Standing(IntEnum):
    """What a row says of a person; where two rows differ on one address, the highest counts."""

    ACTIVE = 0
    PAUSED = 1
    PENDING = 2  # never confirmed: stays out
    BLOCKED = 3  # must not be written to: becomes a suppression
    WORN_OUT = 4  # refused too often: becomes a suppression
    BOUNCED = 5  # becomes a suppression
    LEFT = 6  # stays out
    COMPLAINED = 7  # becomes a suppression


_A, _P, _B, _L, _C = (
    Standing.ACTIVE,
    Standing.PENDING,
    Standing.BOUNCED,
    Standing.LEFT,
    Standing.COMPLAINED,
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """known_by: columns that tell it, lower case. reads: the names of each field's columns.

    statuses: the words of its status column, lower case. writes: the columns of an export, and what
    goes into each ("" for nothing). says: how an export puts a standing; who is in a standing that
    is not named there is left out of it.
    """

    name: str
    source: str
    known_by: frozenset[str]
    reads: Mapping[Field, Sequence[str]]
    writes: Sequence[tuple[str, str]]
    says: Mapping[Standing, str]
    statuses: Mapping[str, Standing] = field(default_factory=dict)


# For shapes that have no word but columns: `left` and `bounced` name the column that speaks.
_GONE = {
    Standing.ACTIVE: "",
    Standing.PAUSED: "left",
    Standing.BLOCKED: "left",
    Standing.WORN_OUT: "left",
    Standing.BOUNCED: "left",
    Standing.LEFT: "left",
    Standing.COMPLAINED: "left",
}

PLAIN = Dialect(
    name="plain",
    source="our own export; the other names are what people call such columns",
    known_by=frozenset(),
    reads={
        Field.EMAIL: ("email", "email address", "email_address", "e-mail", "e-mail address"),
        Field.NAME: ("name", "full name", "full_name"),
        Field.FIRST_NAME: ("first_name", "first name"),
        Field.LAST_NAME: ("last_name", "last name"),
        Field.STATUS: ("status", "state"),
        Field.SUPPRESSED: ("suppressed",),
        Field.TAGS: ("tags",),
        Field.TOPICS: ("topics",),
        Field.CONSENT: ("consent_wording", "consent"),
        Field.CONSENT_DATE: ("consent_given_on", "consent_date", "consent_at"),
    },
    statuses={
        **dict.fromkeys(("active", "subscribed", "confirmed", "enabled"), _A),
        "paused": Standing.PAUSED,
        **dict.fromkeys(("pending", "unconfirmed", "unactivated"), _P),
        **dict.fromkeys(("bounced", "cleaned", "undeliverable"), _B),
        **dict.fromkeys(("unsubscribed", "cancelled", "inactive", "disabled", "erased"), _L),
        **dict.fromkeys(("complained", "complaint", "spam"), _C),
    },
    writes=(
        ("email", "email"),
        ("name", "name"),
        ("status", "own_status"),
        ("suppressed", "suppressed"),
        ("created_at", "created_at"),
        ("confirmed_at", "confirmed_at"),
        ("unsubscribed_at", "unsubscribed_at"),
        ("consent", "consent"),
        ("consent_at", "consent_at"),
        ("consent_source", "consent_source"),
        ("consent_wording", "consent_wording"),
        ("consent_given_on", "consent_given_on"),
        ("tags", "tags"),
        ("topics", "topics"),
    ),
    says=dict.fromkeys(Standing, ""),
)

MAILCHIMP = Dialect(
    name="mailchimp",
    source=(
        "files of its audience export: github.com/buttondown/roadmap/issues/2276,"
        " github.com/knadh/listmonk/issues/688, test files of github.com/TryGhost/migrate"
    ),
    known_by=frozenset({"optin_time", "confirm_time", "leid", "euid"}),
    reads={
        Field.EMAIL: ("email address",),
        Field.FIRST_NAME: ("first name",),
        Field.LAST_NAME: ("last name",),
        Field.LEFT_AT: ("unsub_time",),
        Field.BOUNCED_AT: ("clean_time",),
        Field.TAGS: ("tags",),
        Field.CONSENT_DATE: ("confirm_time", "optin_time"),
    },
    writes=(
        ("Email Address", "email"),
        ("First Name", "first_name"),
        ("Last Name", "last_name"),
        ("OPTIN_TIME", "created_at"),
        ("CONFIRM_TIME", "confirmed_at"),
        ("UNSUB_TIME", "left_at"),
        ("CLEAN_TIME", "bounced_at"),
        ("LEID", ""),
        ("EUID", ""),
        ("NOTES", ""),
        ("TAGS", "quoted_tags"),
    ),
    says={**_GONE, Standing.WORN_OUT: "bounced", Standing.BOUNCED: "bounced"},
)

SUBSTACK = Dialect(
    name="substack",
    source="test files of github.com/TryGhost/migrate, packages/mg-substack-members-csv",
    known_by=frozenset({"email", "active_subscription", "email_disabled"}),
    reads={
        Field.EMAIL: ("email",),
        Field.MAIL_OFF: ("email_disabled",),
        Field.CONSENT_DATE: ("created_at",),
    },
    writes=(
        ("email", "email"),
        ("active_subscription", "never"),  # of paid subscriptions, which we have none of
        ("expiry", ""),
        ("email_disabled", "is_off"),
        ("prefer_digests", "never"),
        ("created_at", "created_at"),
    ),
    says=_GONE,
)

GHOST = Dialect(
    name="ghost",
    source="CSV_HEADERS in ghost/core/core/server/api/.../output/members.js of TryGhost/Ghost",
    known_by=frozenset({"email", "subscribed_to_emails", "labels"}),
    reads={
        Field.EMAIL: ("email",),
        Field.NAME: ("name",),
        Field.WANTS_MAIL: ("subscribed_to_emails",),
        Field.LEFT_AT: ("deleted_at",),
        Field.TAGS: ("labels",),
        Field.CONSENT_DATE: ("created_at",),
    },
    writes=(
        ("id", ""),
        ("email", "email"),
        ("name", "name"),
        ("note", ""),
        ("subscribed_to_emails", "is_on"),
        ("complimentary_plan", ""),
        ("stripe_customer_id", ""),
        ("created_at", "created_at"),
        ("deleted_at", ""),
        ("labels", "tags"),
        ("tiers", ""),
    ),
    says=_GONE,
)

BUTTONDOWN = Dialect(
    name="buttondown",
    source=(
        "fields of its API's subscriber, docs.buttondown.com/api-subscribers-introduction (which"
        " tells of the older email and subscriber_type); types: enums.json of buttondown/openapi"
    ),
    known_by=frozenset({"email_address", "creation_date", "type"}),
    reads={
        Field.EMAIL: ("email_address",),
        Field.STATUS: ("type",),
        Field.TAGS: ("tags",),
        Field.CONSENT_DATE: ("creation_date",),
    },
    statuses={
        **dict.fromkeys(("regular", "premium", "trialed", "unpaid", "gifted", "churning"), _A),
        **dict.fromkeys(("paused", "past_due"), _A),  # of what they pay, not of the mail
        "unactivated": _P,
        **dict.fromkeys(("unsubscribed", "spammy", "removed"), _L),
        "undeliverable": _B,
    },
    writes=(
        ("id", ""),
        ("email_address", "email"),
        ("creation_date", "created_at"),
        ("type", "word"),
        ("notes", ""),
        ("metadata", ""),
        ("tags", "tags"),
    ),
    says={
        **dict.fromkeys(Standing, "unsubscribed"),
        Standing.ACTIVE: "regular",
        Standing.PENDING: "unactivated",
        Standing.WORN_OUT: "undeliverable",
        Standing.BOUNCED: "undeliverable",
    },
)

BEEHIIV = Dialect(
    name="beehiiv",
    source="a test file of github.com/TryGhost/migrate, packages/mg-beehiiv-members",
    known_by=frozenset({"email", "status", "tier", "created_at"}),
    reads={
        Field.EMAIL: ("email",),
        Field.FIRST_NAME: ("first name",),
        Field.LAST_NAME: ("last name",),
        Field.STATUS: ("status",),
        Field.LEFT_AT: ("unsubscribed_at",),
        Field.CONSENT_DATE: ("created_at",),
    },
    statuses={"active": _A, "pending": _P, "inactive": _L},
    writes=(
        ("email", "email"),
        ("First Name", "first_name"),
        ("Last Name", "last_name"),
        ("status", "word"),
        ("tier", "free"),
        ("created_at", "created_at"),
        ("stripe_customer_id", ""),
        ("unsubscribed_at", "left_at"),
    ),
    says={
        **dict.fromkeys(Standing, "inactive"),
        Standing.ACTIVE: "active",
        Standing.PENDING: "pending",
    },
)

KIT = Dialect(
    name="kit",
    source="fields and states of its API's subscriber: developers.kit.com, List subscribers",
    known_by=frozenset({"first_name", "email_address", "state", "created_at"}),
    reads={
        Field.EMAIL: ("email_address",),
        Field.FIRST_NAME: ("first_name",),
        Field.STATUS: ("state",),
        Field.TAGS: ("tags",),
        Field.CONSENT_DATE: ("created_at",),
    },
    # `inactive` is who has not confirmed yet.
    statuses={"active": _A, "inactive": _P, "cancelled": _L, "bounced": _B, "complained": _C},
    writes=(
        ("id", ""),
        ("first_name", "name"),  # it has one column for names
        ("email_address", "email"),
        ("state", "word"),
        ("created_at", "created_at"),
        ("tags", "tags"),
    ),
    says={
        Standing.ACTIVE: "active",
        Standing.PAUSED: "cancelled",
        Standing.PENDING: "inactive",
        Standing.BLOCKED: "cancelled",
        Standing.WORN_OUT: "bounced",
        Standing.BOUNCED: "bounced",
        Standing.LEFT: "cancelled",
        Standing.COMPLAINED: "complained",
    },
)

_LISTMONKS_BAN = "block" + "listed"  # its word for it is not one of ours
LISTMONK = Dialect(
    name="listmonk",
    source="the header written by cmd/subscribers.go of knadh/listmonk, and its schema's statuses",
    known_by=frozenset({"uuid", "email", "attributes", "status"}),
    reads={
        Field.EMAIL: ("email",),
        Field.NAME: ("name",),
        Field.STATUS: ("status",),
        Field.CONSENT_DATE: ("created_at",),
    },
    statuses={"enabled": _A, "disabled": _L, _LISTMONKS_BAN: Standing.BLOCKED},
    writes=(
        ("uuid", ""),
        ("email", "email"),
        ("name", "name"),
        ("attributes", "no_attributes"),
        ("status", "word"),
        ("created_at", "created_at"),
        ("updated_at", "created_at"),
    ),
    says={
        Standing.ACTIVE: "enabled",
        Standing.PAUSED: "disabled",
        Standing.BLOCKED: _LISTMONKS_BAN,
        Standing.WORN_OUT: _LISTMONKS_BAN,
        Standing.BOUNCED: _LISTMONKS_BAN,
        Standing.LEFT: "disabled",
        Standing.COMPLAINED: _LISTMONKS_BAN,
    },
)

DIALECTS = {
    dialect.name: dialect
    for dialect in (
        PLAIN, MAILCHIMP, SUBSTACK, GHOST, BUTTONDOWN, BEEHIIV, KIT, LISTMONK,
    )
}  # fmt: skip


def recognise(columns: Sequence[str]) -> Dialect:
    """Whose export has these columns (lower case); ours where nobody's does."""
    found = set(columns)
    known = [one for one in DIALECTS.values() if one.known_by <= found]
    return max(known, key=lambda one: len(one.known_by))
