"""The SQL of rates, all of it: every statement reaches its rows by primary key.

Plain SQL that SQLite and PostgreSQL both speak.
"""

from __future__ import annotations

from sqlalchemy import bindparam, text

# Whoever has written this row has the budget until its transaction ends; the others wait for it,
# and read what it left. (SQLite lets in one writer anyway; PostgreSQL locks the row.)
LOCK = text(
    """
    INSERT INTO rate_scope (scope, free_at) VALUES ('*', 0)
    ON CONFLICT (scope) DO UPDATE SET free_at = rate_scope.free_at
    """
)

FREE_AT = text("SELECT scope, free_at FROM rate_scope WHERE scope IN :scopes").bindparams(
    bindparam("scopes", expanding=True)
)

SET_FREE_AT = text(
    """
    INSERT INTO rate_scope (scope, free_at) VALUES (:scope, :free_at)
    ON CONFLICT (scope) DO UPDATE SET free_at = excluded.free_at
    """
)

# Some sixty rows, by the first part of the key.
SLOTS = text("SELECT starts_at, taken FROM rate_slot WHERE scope = :scope")

SET_SLOT = text(
    """
    INSERT INTO rate_slot (scope, starts_at, taken) VALUES (:scope, :starts_at, :taken)
    ON CONFLICT (scope, starts_at) DO UPDATE SET taken = excluded.taken
    """
)

DROP_SLOT = text("DELETE FROM rate_slot WHERE scope = :scope AND starts_at = :starts_at")
