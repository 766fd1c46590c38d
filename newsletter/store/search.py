"""Who has a text in their address or name, found by what the store keeps for that.

SQLite keeps every three letters in a row of addresses and names, with who has them, in a table of
its own kind (FTS5), up to a reader; triggers on `subscriber` take out who goes and note who was
renamed. `catch_up` brings it up to date, many at once, and until then a search looks at the others
one by one. So what is found is right at any time, and the index only ever narrows down: whoever
searches compares the readers named here with what they look for.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

INDEX: Final = "subscriber_search"
LEAST: Final = 3  # letters; of fewer it knows nothing
MOST: Final = 16  # letters asked for: each costs a walk over all who have it
MANY: Final = 20_000  # not in the index yet: a walk over the list is as quick
_MEANS_SOMETHING = re.compile(r"[%_]")  # to LIKE

# Each in the order of the ids, which is that of the tables: it stops at the last one wanted.
_FIND = text(
    f"SELECT rowid FROM {INDEX} WHERE words LIKE :part AND rowid > :after_id"  # noqa: S608
    " ORDER BY rowid LIMIT :limit"
)
_FIND_RENAMED = text(
    f"SELECT now.id FROM {INDEX}_due AS due JOIN subscriber_words AS now ON now.id = due.id"  # noqa: S608
    " WHERE now.words LIKE :part AND due.id > :after_id ORDER BY due.id LIMIT :limit"
)
_FIND_NEW = text(
    f"SELECT id FROM subscriber_words WHERE id > (SELECT last_id FROM {INDEX}_read)"  # noqa: S608
    " AND id > :after_id AND words LIKE :part ORDER BY id LIMIT :limit"
)
_FINDS = (_FIND, _FIND_RENAMED, _FIND_NEW)

# One row; the last one of the table; up to :many of those who were renamed.
_STATE = text(
    "SELECT last_id, coalesce((SELECT max(id) FROM subscriber), 0) AS newest,"  # noqa: S608
    f" (SELECT count(*) FROM (SELECT 1 FROM {INDEX}_due LIMIT :many) AS due) AS renamed"
    f" FROM {INDEX}_read"
)
_CATCH_UP = (
    text(
        f"INSERT INTO {INDEX} ({INDEX}, rowid, words) SELECT 'delete', id, was FROM {INDEX}_due"  # noqa: S608
    ),
    text(
        f"INSERT INTO {INDEX} (rowid, words) SELECT now.id, now.words"  # noqa: S608
        f" FROM {INDEX}_due AS due JOIN subscriber_words AS now ON now.id = due.id"
    ),
    text(
        f"INSERT INTO {INDEX} (rowid, words) SELECT id, words FROM subscriber_words"  # noqa: S608
        f" WHERE id > (SELECT last_id FROM {INDEX}_read)"
    ),
    text(f"UPDATE {INDEX}_read SET last_id = coalesce((SELECT max(id) FROM subscriber), 0)"),  # noqa: S608
    text(f"DELETE FROM {INDEX}_due"),  # noqa: S608
)
_REWRITE = text(f"INSERT INTO {INDEX} ({INDEX}) VALUES ('optimize')")  # noqa: S608


def find(session: Session, part: str, *, after_id: int, limit: int) -> list[int] | None:
    """Ids above `after_id`, ascending, at most `limit`: nobody else above them can have `part`.

    None where the store cannot tell: everybody has to be looked at.
    """
    piece = _piece(part)
    if not _is_kept(session) or len(piece) < LEAST:
        return None
    if _waiting(session) >= MANY:
        return None
    row = {"part": f"%{piece}%", "after_id": after_id, "limit": limit}
    found = {id_ for finding in _FINDS for id_ in session.execute(finding, row).scalars()}
    return sorted(found)[:limit]


def catch_up(session: Session) -> None:
    """Puts into the index who came or was renamed: three seconds for a million."""
    session.flush()
    if _is_kept(session) and _waiting(session):
        for statement in _CATCH_UP:
            session.execute(statement)


def forget(session: Session) -> None:
    """Writes the index anew, so that nothing is left in it of texts that are gone.

    For an erasure. It takes half a second for a list of a million.
    """
    catch_up(session)
    if _is_kept(session):
        session.execute(_REWRITE)


def is_of_search(table: str | None) -> bool:
    """Whether a table is the index, or one of those that belong to it."""
    return (table or "").startswith(INDEX)


def _is_kept(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _waiting(session: Session) -> int:
    """How many readers, at most, the index does not know as they are; MANY stands for more."""
    last_id, newest, renamed = session.execute(_STATE, {"many": MANY}).one()
    return abs(int(newest) - int(last_id)) + int(renamed)


def _piece(part: str) -> str:
    """The stretch of `part` to ask for: without what means something to LIKE, and around the @."""
    plain = max(_MEANS_SOMETHING.split(part), key=len)
    return plain[max(0, plain.find("@") - MOST // 2) :][:MOST]
