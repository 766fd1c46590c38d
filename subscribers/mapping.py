"""Which column of a list is taken for what: guessed from its header, shown, and changeable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subscribers.dialects import Dialect, Field, recognise
from subscribers.errors import ImportRefusedError
from subscribers.spreadsheet import unguard

IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Columns:
    """The header of a list, understood. numbers: for each field its columns, the first to be asked
    first."""

    header: tuple[str, ...]
    dialect: Dialect
    numbers: Mapping[Field, tuple[int, ...]]

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """Each column's name and the field it is taken for, "" for none."""
        taken = {number: field for field, some in self.numbers.items() for number in some}
        return tuple((name, taken.get(n, "")) for n, name in enumerate(self.header))


def understand(header: Sequence[str], chosen: Mapping[str, str]) -> Columns:
    """chosen: by column name what it is to be taken for, a field's name or `ignore`.

    Raises ImportRefusedError where no column has the addresses, two columns of one name are meant,
    or a choice names what there is not.
    """
    shown = tuple(unguard(cell.strip()) for cell in header)
    names = [name.lower() for name in shown]
    dialect = recognise(names)
    choices = _choices(names, chosen)
    guessed = {name: field for field in dialect.reads for name in dialect.reads[field]}
    wanted = {**guessed, **choices}
    numbers: dict[Field, tuple[int, ...]] = {}
    for field in Field:
        own = [name for name, meant in choices.items() if meant is field]
        usual = [name for name in dialect.reads.get(field, ()) if wanted[name] is field]
        found = [_only(names, name) for name in own or usual if name in names]
        if found:  # of dates every column is asked in turn; else the first name counts
            numbers[field] = tuple(found if field is Field.CONSENT_DATE else found[:1])
    if Field.EMAIL not in numbers:
        raise ImportRefusedError(
            "the first line names no column `email`",
            hint="let the first line be `email,name`, or say which column has the addresses with"
            " --map COLUMN=email",
        )
    return Columns(shown, dialect, numbers)


def _choices(names: Sequence[str], chosen: Mapping[str, str]) -> dict[str, Field | None]:
    choices: dict[str, Field | None] = {}
    for column, meant in chosen.items():
        name, word = column.strip().lower(), meant.strip().lower()
        if name not in names:
            raise ImportRefusedError(
                f"the list has no column {column!r}",
                hint=f"it has {', '.join(filter(None, names[:20]))}",
            )
        if word not in (*Field, IGNORE):
            raise ImportRefusedError(
                f"a column cannot be taken for {meant!r}",
                hint=f"it can be for {', '.join(Field)} or {IGNORE}",
            )
        choices[name] = None if word == IGNORE else Field(word)
    _refuse_doubles(choices)
    return choices


def _refuse_doubles(choices: Mapping[str, Field | None]) -> None:
    for field in set(filter(None, choices.values())) - {Field.CONSENT_DATE}:
        meant = [name for name, one in choices.items() if one is field]
        if len(meant) > 1:
            raise ImportRefusedError(
                f"{' and '.join(meant)} cannot both be taken for {field}", hint="choose one of them"
            )


def _only(names: Sequence[str], name: str) -> int:
    """Where the column is. Raises ImportRefusedError where two are called so."""
    if names.count(name) > 1:
        raise ImportRefusedError(
            f"the list has two columns called {name!r}", hint="keep one, or rename the other"
        )
    return names.index(name)
