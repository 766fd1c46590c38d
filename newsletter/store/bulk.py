"""One statement for thousands of rows, past the work SQLAlchemy does for each of them.

Binding a row of eight named values costs SQLAlchemy ten times what SQLite needs to store it. Here a
statement is compiled once, what all rows share is converted once, and the driver gets plain tuples
(or, from drivers that want names, dicts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, TextClause
from sqlmodel import Session


def run_for_each(
    session: Session,
    statement: TextClause,
    *,
    shared: Mapping[str, Any],
    names: tuple[str, ...],
    rows: Iterable[tuple[Any, ...]],
) -> int:
    """Runs `statement` for each row; how many rows of the table it changed in all.

    shared: values of parameters that are the same for every row, of any type it declares.
    names: what the values of a row are called; these go to the driver as they are: numbers, text,
    None, and datetimes for whom the store's own form is given (`stored`).
    """
    connection = session.connection()
    string, order, processors = _compiled(statement, connection.dialect)
    fixed = {name: _stored(processors, name, value) for name, value in shared.items()}
    given: list[Any]
    if order is None:
        given = [{**fixed, **dict(zip(names, row, strict=True))} for row in rows]
    else:
        template = [fixed.get(name) for name in order]
        places = [(place, names.index(name)) for place, name in enumerate(order) if name in names]
        given = []
        for row in rows:
            values = template.copy()
            for place, index in places:
                values[place] = row[index]
            given.append(tuple(values))
    return connection.exec_driver_sql(string, given).rowcount if given else 0


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
) -> tuple[str, list[str] | None, dict[str, Any]]:
    """The SQL, the order of its parameters (None: by name), and what converts their values."""
    compiled: Any = statement.compile(dialect=dialect)
    order = list(compiled.positiontup) if compiled.positional else None
    processors = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in compiled.binds.items()
    }
    return compiled.string, order, processors
