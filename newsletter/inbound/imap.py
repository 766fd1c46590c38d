"""The unseen mails of an IMAP folder, one at a time; each is flagged once it is on record."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from newsletter.errors import RefusedError
from newsletter.inbound.mime import MAX_OCTETS

TIMEOUT_S: Final = 30.0
_FAULTS = (imaplib.IMAP4.error, OSError, ssl.SSLError)


@dataclass(frozen=True, slots=True)
class Account:
    """Where to look. The password is shown nowhere."""

    host: str
    port: int
    user: str
    folder: str
    password: str = field(repr=False)
    is_encrypted: bool = True


@dataclass(frozen=True, slots=True)
class ImapMail:
    """One message of the open folder."""

    raw: bytes
    uid: bytes
    server: imaplib.IMAP4
    host: str

    def mark_read(self) -> None:
        try:
            _ask(self.server.uid("STORE", self.uid.decode(), "+FLAGS.SILENT", r"(\Seen)"))
        except _FAULTS as error:
            raise _trouble(self.host, error) from None


def parse_url(url: str, *, password: str = "") -> Account:
    """`imaps://user:password@host:993/INBOX`; reserved characters as %40. Never repeats any of it.

    `imap://`, without TLS, is for this machine alone. Raises RefusedError.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    host, user = parts.hostname or "", unquote(parts.username or "")
    secret = unquote(parts.password or "") or password
    if parts.scheme not in ("imaps", "imap") or not host or not user or port == -1:
        raise RefusedError(
            "the source is no IMAP address",
            hint="write it as imaps://user:password@imap.example.com/INBOX",
        )
    if parts.scheme == "imap" and not _is_here(host):
        raise RefusedError(
            "imap:// would send the password in the clear to another machine", hint="use imaps://"
        )
    if not secret:
        raise RefusedError(
            "the IMAP address has no password",
            hint="write it after the user, or set IMAP_PASSWORD in the environment",
        )
    folder = unquote(parts.path.strip("/")) or "INBOX"
    default = 993 if parts.scheme == "imaps" else 143
    return Account(host, port or default, user, folder, secret, parts.scheme == "imaps")


def unseen(account: Account) -> Iterator[ImapMail]:
    """Asks for each mail without marking it. Raises RefusedError, naming the host and no more."""
    server: imaplib.IMAP4 | None = None
    try:
        server = _connected(account)
        server.login(account.user, account.password)
        quoted = account.folder.replace("\\", "\\\\").replace('"', '\\"')
        _ask(server.select(f'"{quoted}"'))
        for uid in (_ask(server.uid("SEARCH", "UNSEEN"))[0] or b"").split():
            raw = _beginning(server, uid)
            if raw is not None:
                yield ImapMail(raw, uid, server, account.host)
    except _FAULTS as error:
        raise _trouble(account.host, error) from None
    finally:
        _leave(server)


def _connected(account: Account) -> imaplib.IMAP4:
    if not account.is_encrypted:
        return imaplib.IMAP4(account.host, account.port, timeout=TIMEOUT_S)
    context = ssl.create_default_context()
    return imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=TIMEOUT_S)


def _beginning(server: imaplib.IMAP4, uid: bytes) -> bytes | None:
    """None for a mail that is gone meanwhile."""
    answer = _ask(server.uid("FETCH", uid.decode(), f"(UID BODY.PEEK[]<0.{MAX_OCTETS}>)"))
    return next((one[1] for one in answer if isinstance(one, tuple)), None)


def _ask(answer: tuple[str, list[Any]]) -> list[Any]:
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error("the server said no")
    return data


def _leave(server: imaplib.IMAP4 | None) -> None:
    if server is not None:
        try:
            server.logout()
        except _FAULTS:
            return


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _trouble(host: str, error: Exception) -> RefusedError:
    """A server may repeat what it was sent: its own words are left out."""
    if isinstance(error, imaplib.IMAP4.error):
        return RefusedError(
            f"the IMAP server {host} refused, or ended the connection",
            hint="check user, password and folder; what was on record stays so: run it again",
        )
    return RefusedError(
        f"the IMAP server {host} cannot be reached: {type(error).__name__}",
        hint="check host and port; what was on record stays so: run it again",
    )
