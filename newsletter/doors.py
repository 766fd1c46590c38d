"""What a sign-up comes in by, as operators write it: proxies, origins, numbers; and who asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from newsletter.rates import whole_number

IPNetwork = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address

MAX_SIGN_UPS = 1_000_000
EASIEST_PUZZLE = 1_000
HARDEST_PUZZLE = 10_000_000
MAX_HOPS = 20  # of a forwarding header; nobody has more proxies of their own
VISITOR_V6_BITS = 64  # what one line of one household or one rented server has to itself

_PORT = re.compile(r"(?P<v4>[0-9.]+):[0-9]{1,5}|\[(?P<v6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


def visitor_ip(peer: str, forwarded: Iterable[str], trusted: Sequence[IPNetwork]) -> str:
    """The IP of whoever asked: `peer`, or what trusted proxies say of the one before them.

    forwarded: the values of X-Forwarded-For, in the order they came. They are read from the right,
    each entry written by the hop to its right, and believed only while that hop is trusted. What
    cannot be read ends it: then the last proxy that could be counts as the visitor. "" for no peer.
    """
    known = parsed_ip(peer)
    if known is None:
        return peer
    for entry in _from_the_right(forwarded):
        if not _is_in(known, trusted):
            break
        said = parsed_ip(entry)
        if said is None:
            break
        known = said
    return str(known)


def visitor_network(ip: str) -> str:
    """What one visitor can change at will counts as one: an IPv4 address, a /64 of IPv6.

    A text that is no IP (a socket in the file system has none) is a visitor of its own.
    """
    known = parsed_ip(ip)
    if isinstance(known, IPv6Address):
        return str(IPv6Network((int(known), VISITOR_V6_BITS), strict=False))
    return str(known) if known else ip


def parsed_ip(text: str) -> IPAddress | None:
    """An IP, with or without a port; IPv4 written as IPv6 is IPv4. None for anything else."""
    text = text.strip().strip('"')
    with_port = _PORT.fullmatch(text)
    if with_port:
        text = with_port["v4"] or with_port["v6"]
    try:
        known = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(known, IPv6Address):
        return known.ipv4_mapped or known
    return known


def _from_the_right(forwarded: Iterable[str]) -> list[str]:
    entries = [entry for value in forwarded for entry in value.split(",")]
    return entries[: -MAX_HOPS - 1 : -1]


def _is_in(known: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    return any(known in network for network in networks)


def _parts(value: object) -> list[str]:
    given = value.split(",") if isinstance(value, str) else value
    if isinstance(given, list | tuple):
        return [str(part).strip() for part in given if str(part).strip()]
    raise ValueError("is not a list; separate its parts by commas")


def _networks(value: object) -> tuple[IPNetwork, ...]:
    return tuple(_network(part) for part in _parts(value))


def _network(part: str) -> IPNetwork:
    try:
        return ipaddress.ip_network(part)
    except ValueError:
        raise ValueError(
            f"holds {part!r}, which is no network; write 10.0.0.5, 10.0.0.0/8 or 2001:db8::/32"
        ) from None


def _origins(value: object) -> tuple[str, ...]:
    return tuple(_origin(part.rstrip("/").lower()) for part in _parts(value))


def _origin(part: str) -> str:
    if not _ORIGIN.fullmatch(part):
        raise ValueError(
            f"holds {part!r}, which is no origin; write scheme and host as https://blog.example.com"
        )
    try:
        port = urlsplit(part).port
    except ValueError:
        raise ValueError(f"holds {part!r}, whose port does not exist") from None
    # A browser leaves the usual port out of what it says, so it must not stand here either.
    usual = {"http": 80, "https": 443}[part.partition(":")[0]]
    return part.removesuffix(f":{port}") if port == usual else part


def _sign_ups(value: object) -> object:
    return _within(1, value)


def _sign_ups_or_none(value: object) -> object:
    return _within(0, value)


def _within(least: int, value: object) -> int:
    number = whole_number(value)
    if number is None or not least <= number <= MAX_SIGN_UPS:
        raise ValueError(
            f"is not a number of sign-ups; write a whole number from {least} to {MAX_SIGN_UPS:,}"
        )
    return number


def _puzzle(value: object) -> object:
    number = whole_number(value)
    if number != 0 and (number is None or not EASIEST_PUZZLE <= number <= HARDEST_PUZZLE):
        raise ValueError(
            "is not a number of tries; write 0 for no proof of work, or 50000 "
            f"({EASIEST_PUZZLE:,} to {HARDEST_PUZZLE:,})"
        )
    return number


Networks = Annotated[tuple[IPNetwork, ...], BeforeValidator(_networks)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
SignUps = Annotated[int, BeforeValidator(_sign_ups)]
SignUpsOrNone = Annotated[int, BeforeValidator(_sign_ups_or_none)]
PuzzleTries = Annotated[int, BeforeValidator(_puzzle)]
