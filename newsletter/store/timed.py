"""Plain SQL with instants in it."""

from __future__ import annotations

from sqlalchemy import TextClause, bindparam, text
from sqlmodel.sql.sqltypes import UTCDateTime


def timed(sql: str, *names: str) -> TextClause:
    """`sql` whose parameters `names` are aware instants, stored as the models store them."""
    return text(sql).bindparams(*(bindparam(name, type_=UTCDateTime()) for name in names))
