"""Where the links of an issue lead: the store's table, and a file that outlives a broken store.

A reader's link carries a number, never an address, so a redirect can only lead where the issue's
own links lead. The file is written when the issue is frozen; links never change after that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from newsletter.errors import RefusedError, StoreError

# The label of the link that no person sees (`rendering.links` has the same): who follows it is a
# machine.
CANARY = "canary"
MAX_URL_CHARACTERS = 2_000
MAX_STORED_ID = 2**63 - 1  # what a database integer holds; a signed token may say more

_URL = text("SELECT url FROM issue_link WHERE issue_id = :issue_id AND n = :n")  # primary key
_STORE = text(
    "INSERT INTO issue_link (issue_id, n, url, label) VALUES (:issue_id, :n, :url, :label)"
    " ON CONFLICT (issue_id, n) DO NOTHING"
)


def store_links(session: Session, issue_id: int, links: Iterable[tuple[int, str, str]]) -> None:
    """Writes an issue's links (number, address, label) into the table; those there already stay.

    Raises RefusedError for an address that is not http(s). The caller commits.
    """
    kept = list(links)
    _refuse_other_kinds(issue_id, {n: url for n, url, _label in kept})
    rows = [{"issue_id": issue_id, "n": n, "url": url, "label": label} for n, url, label in kept]
    if rows:
        session.connection().execute(_STORE, rows)


def write_links(home: Path, issue_id: int, urls: Mapping[int, str]) -> Path:
    """Writes HOME/links/<issue id>.json, whole or not at all; returns its path.

    Raises RefusedError for an address that is not http(s), StoreError where it cannot be written.
    """
    _refuse_other_kinds(issue_id, urls)
    path = _path(home, issue_id)
    content = json.dumps({str(n): urls[n] for n in sorted(urls)}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise StoreError(
            f"the links of issue {issue_id} cannot be written to {path}: {error.strerror}",
            hint="free disk space and make the home folder writable, then do it again",
        ) from error
    return path


def read_link(home: Path, session: Session, issue_id: int, n: int) -> str | None:
    """Where link `n` of an issue leads; None where there is no such link.

    Asks the file, then the store: so a store that is down or was restored from an older backup does
    not break the links in mail already sent, and a home that lost its files is no worse off.
    """
    url = filed_link(home, issue_id, n)
    if url is None and 0 <= issue_id <= MAX_STORED_ID and 0 <= n <= MAX_STORED_ID:
        url = _stored(session, issue_id, n)
    return url if url and is_web_address(url) else None


def filed_link(home: Path, issue_id: int, n: int) -> str | None:
    """Where link `n` leads by the file written at freezing: no database, some microseconds."""
    name = f"{home}/links/{issue_id}.json"
    try:
        found = os.stat(name)  # noqa: PTH116  (a Path costs as much as all the rest of a redirect)
        return _parsed(name, found.st_ino, found.st_mtime_ns).get(n)
    except (OSError, ValueError):
        return None


def is_web_address(url: str) -> bool:
    """Whether `url` is absolute http(s) with a host, without spaces or control characters."""
    if len(url) > MAX_URL_CHARACTERS or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _refuse_other_kinds(issue_id: int, urls: Mapping[int, str]) -> None:
    for n, url in urls.items():
        if not is_web_address(url):
            raise RefusedError(
                f"link {n} of issue {issue_id} leads to {url!r}",
                hint="a link must begin with http:// or https:// and name a host",
            )


def _stored(session: Session, issue_id: int, n: int) -> str | None:
    try:
        found = session.connection().execute(_URL, {"issue_id": issue_id, "n": n}).scalar()
    except SQLAlchemyError:
        return None  # whatever is wrong with the store, the file was asked
    return None if found is None else str(found)


@lru_cache(maxsize=64)
def _parsed(name: str, _inode: int, _written_ns: int) -> Mapping[int, str]:
    """The file's links; which file it is and when it was written are part of the cache's key."""
    read = json.loads(Path(name).read_text(encoding="utf-8"))
    if not isinstance(read, dict):
        raise ValueError(f"{name} holds no links")  # noqa: TRY004  (a bad value in a file)
    return {int(n): url for n, url in read.items() if isinstance(url, str) and is_web_address(url)}


def _path(home: Path, issue_id: int) -> Path:
    return home / "links" / f"{issue_id}.json"


def _replace(path: Path, content: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
