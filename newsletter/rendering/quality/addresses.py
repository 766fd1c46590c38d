"""What is wrong with an address, by itself: nothing is looked up."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

# Filters distrust these, since nobody sees where they lead.
SHORTENERS = frozenset(
    {"adf.ly", "bit.do", "bit.ly", "bl.ink", "buff.ly", "cutt.ly", "db.tt", "dlvr.it", "fb.me"}
    | {"goo.gl", "ht.ly", "is.gd", "j.mp", "lnkd.in", "mcaf.ee", "ow.ly", "po.st", "rb.gy"}
    | {"rebrand.ly", "s.id", "short.io", "shorturl.at", "snip.ly", "soo.gd", "spoti.fi", "t.co"}
    | {"t.ly", "t2m.io", "tiny.cc", "tinyurl.com", "tr.im", "trib.al", "urlz.fr", "v.gd"}
    | {"vk.cc", "wp.me", "zpr.io"}
)
_LOOPBACK_NAME = re.compile(r"(?:.+\.)?localhost")


def split(url: str) -> SplitResult | None:
    """Its parts; None where it is no absolute web address."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def is_loopback(host: str) -> bool:
    if _LOOPBACK_NAME.fullmatch(host):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_plain_http(url: str) -> bool:
    """http to another machine: anybody on the way can read and change it."""
    parts = split(url)
    return parts is not None and parts.scheme == "http" and not is_loopback(parts.hostname or "")


def shortener(url: str) -> str:
    """The known shortener it goes through; "" for none."""
    parts = split(url)
    host = (parts.hostname or "").removeprefix("www.") if parts else ""
    return host if host in SHORTENERS else ""


def has_credentials(url: str) -> bool:
    parts = split(url)
    return parts is not None and "@" in parts.netloc


def looks_alike(url: str) -> str:
    """A host that can pass for another one: letters beyond ASCII, as such or in punycode."""
    parts = split(url)
    host = parts.hostname or "" if parts else ""
    if not host.isascii():
        return host
    if "xn--" not in host:
        return ""
    try:
        return f"{host}, shown as {host.encode('ascii').decode('idna')}"
    except UnicodeError:
        return host
