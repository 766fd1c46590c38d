"""One statement for thousands of rows, past the work SQLAlchemy does for each of them.

Binding a row of eight named values costs SQLAlchemy ten times what SQLite needs to store it: a
statement is compiled once, what all rows share is converted once, and the driver gets plain tuples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect, TextClause
from sqlmodel import Session


def run_for_each(
    session: Session,
    statement: TextClause,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    **shared: Any,
) -> int:
    """Runs `statement` for each row; how many rows of the table it changed in all.

    names: what the values of a row are called. They go to the driver as they are: numbers, text,
    None, and whatever else in the store's own form (`stored`). shared: values of every row, of
    whatever type the statement declares.
    """
    if not rows:
        return 0
    connection = session.connection()
    string, order, processors = _compiled(statement, connection.dialect)
    fixed = {name: _stored(processors, name, value) for name, value in shared.items()}
    given: list[Any]
    if order is None:
        given = [{**fixed, **dict(zip(names, row, strict=True))} for row in rows]
    elif order == names:
        given = list(rows)
    else:
        places = (*names, *fixed)
        pick, values = itemgetter(*map(places.index, order)), tuple(fixed.values())
        given = [pick(row + values) for row in rows]
    return connection.exec_driver_sql(string, given).rowcount


def stored(session: Session, statement: TextClause, name: str, value: Any) -> Any:
    """`value` as the driver wants it for the parameter `name`."""
    _string, _order, processors = _compiled(statement, session.connection().dialect)
    return _stored(processors, name, value)


def _stored(processors: Mapping[str, Any], name: str, value: Any) -> Any:
    process = processors.get(name)
    return process(value) if process is not None else value


@lru_cache(maxsize=32)
def _compiled(
    statement: TextClause, dialect: Dialect
) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
    """The SQL, the order of its parameters (None: by name), and what converts their values."""
    compiled: Any = statement.compile(dialect=dialect)
    order = tuple(compiled.positiontup) if compiled.positional else None
    processors = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in compiled.binds.items()
    }
    return compiled.string, order, processors
