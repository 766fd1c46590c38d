"""Addresses to look at twice: those of a role, which several people read, and throw-away ones.

A flag keeps nobody from anything: it is shown, counted, and can be asked for in a segment. Role
addresses cause more complaints (whoever reads them now did not sign up), throw-away domains bounce.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

# Mailboxes that RFC 2142 reserves, and those of every office.
ROLES = frozenset((
    "abuse", "accounting", "accounts", "admin", "administrator", "billing", "contact",
    "enquiries", "feedback", "finance", "help", "hello", "helpdesk", "hostmaster", "hr", "info",
    "inquiries", "it", "jobs", "legal", "list", "mail", "mailer-daemon", "marketing", "media",
    "news", "newsletter", "no-reply", "noc", "noreply", "office", "orders", "postmaster", "press",
    "privacy", "root", "sales", "security", "service", "subscribe", "support", "sysadmin", "team",
    "unsubscribe", "usenet", "uucp", "web", "webmaster", "www",
))  # fmt: skip


class AddressFlag(StrEnum):
    """Why an address deserves a look."""

    ROLE = "role address"  # info@, sales@: read by whoever is on duty
    DISPOSABLE = "disposable"  # at a domain of throw-away mailboxes


def flags_of(
    address_key: str, disposable_domains: Collection[str] = frozenset()
) -> frozenset[AddressFlag]:
    """The flags of an address in its normal form; disposable_domains: lower case, ASCII."""
    local, _, domain = address_key.rpartition("@")
    found = set()
    if local in ROLES:
        found.add(AddressFlag.ROLE)
    if domain in disposable_domains:
        found.add(AddressFlag.DISPOSABLE)
    return frozenset(found)


def read_domains(text: str) -> frozenset[str]:
    """A list of domains, one a line; blank lines and what follows a # are left out."""
    lines = (line.partition("#")[0].strip().lower().removeprefix("@") for line in text.splitlines())
    return frozenset(line for line in lines if line)
