"""`smtp://user:password@host:587?tls=starttls`, parsed. No message repeats any part of the URL."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from newsletter.errors import SettingsError

_NAME = "the SMTP URL (NEWSLETTER_SMTP_URL)"
_FORMS = (
    "write smtp://user:password@host:587?tls=starttls, smtps://user:password@host or, on this "
    "machine, smtp://127.0.0.1:2525?tls=none; other characters of user and password as %XX"
)
_HOST = re.compile(r"[A-Za-z0-9_.:-]+")


class Tls(StrEnum):
    """How the connection is kept private."""

    NONE = "none"  # not at all
    STARTTLS = "starttls"  # asked for in plain text, and required
    IMPLICIT = "implicit"  # from the first byte: smtps://


PORTS: Final = {Tls.NONE: 25, Tls.STARTTLS: 587, Tls.IMPLICIT: 465}


@dataclass(frozen=True, slots=True)
class Target:
    """A server, how to reach it and as whom; user and password are both "" or neither."""

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = field(default="", repr=False)


def parse_url(url: str) -> Target:
    """The target an SMTP URL names. Raises SettingsError, which repeats nothing of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        user = unquote(parts.username or "", errors="strict")
        password = unquote(parts.password or "", errors="strict")
        host.encode("idna")  # a host the resolver cannot even be asked for
    except ValueError:
        # Not chained: urllib names the piece it stumbled over, which may be the password.
        raise _unusable("cannot be read") from None
    if parts.scheme not in {"smtp", "smtps"} or parts.path not in {"", "/"} or parts.fragment:
        raise _unusable("is not of the form smtp://host or smtps://host")
    if not _HOST.fullmatch(host):
        raise _unusable("names no host")
    tls = _tls(parts, query, host)
    if bool(user) != bool(password) or "\0" in user + password:
        raise _unusable("has a user without a password, or a password without a user")
    if user and tls is Tls.NONE and not is_loopback(host):
        raise _unusable("would send a password over the network without TLS")
    if port == 0:
        raise _unusable("has no usable port")
    return Target(host, port or PORTS[tls], tls, user, password)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(parts: SplitResult, query: list[tuple[str, str]], host: str) -> Tls:
    if parts.scheme == "smtps":
        if query:
            raise _unusable("has a query, which smtps:// does not take")
        return Tls.IMPLICIT
    if not query:
        return Tls.NONE if is_loopback(host) else Tls.STARTTLS
    if query in ([("tls", "none")], [("tls", "starttls")]):
        return Tls(query[0][1])
    raise _unusable("has a query other than ?tls=starttls or ?tls=none")


def _unusable(why: str) -> SettingsError:
    return SettingsError(f"{_NAME} {why}", hint=_FORMS)
