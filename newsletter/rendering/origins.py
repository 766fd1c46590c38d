"""Where a template comes from: the publication's own folder first, else what is bundled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import jinja2
from jinja2 import meta


class Origin(StrEnum):
    OWN = "own"  # the publication wrote it
    BUNDLED = "bundled"  # it comes with the program


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """One template file that went into a mail. sha256: of its text."""

    name: str  # weekly/body.mjml
    origin: Origin
    sha256: str

    def __str__(self) -> str:
        return f"{self.origin} template {self.name}"


@dataclass(frozen=True, slots=True)
class _Taken:
    """A template as it was read. is_current: whether reading it again would give the same."""

    use: TemplateUse
    source: str
    file: str
    is_current: Callable[[], bool]


class Shelves(jinja2.BaseLoader):
    """Loads each template once, from the own folder or the bundled one, and remembers which.

    own: a folder, or None. without: names for which the own folder is passed over.
    """

    def __init__(
        self, own: Path | None, bundled: Path, *, without: frozenset[str] = frozenset()
    ) -> None:
        self._own = own
        self._without = without
        self._loaders = {Origin.BUNDLED: jinja2.FileSystemLoader(bundled)}
        if own is not None:
            self._loaders[Origin.OWN] = jinja2.FileSystemLoader(own)
        self._taken: dict[str, _Taken] = {}

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        origin = Origin.OWN if self._has_own(template) else Origin.BUNDLED
        loader = self._loaders[origin]
        source, file, is_unchanged = loader.get_source(environment, template)
        digest = hashlib.sha256(source.encode()).hexdigest()

        def is_current() -> bool:
            # An own file put there later goes before the bundled one.
            is_own = self._has_own(template)
            return is_own == (origin is Origin.OWN) and is_unchanged()

        use = TemplateUse(template, origin, digest)
        self._taken[template] = _Taken(use, source, file or "", is_current)
        return source, file, is_current

    def list_templates(self) -> list[str]:
        return sorted(
            {name for loader in self._loaders.values() for name in loader.list_templates()}
        )

    @property
    def is_current(self) -> bool:
        """Whether every template taken so far would be read the same again."""
        return all(taken.is_current() for taken in list(self._taken.values()))

    def label(self, name: str) -> str:
        """`own template weekly/body.mjml`; the bare name of one that was never read."""
        taken = self._taken.get(name)
        return str(taken.use) if taken else name

    def name_of(self, file: str) -> str:
        """The template that was read from `file`, or ""."""
        return next((name for name, taken in self._taken.items() if taken.file == file), "")

    def uses(
        self, environment: jinja2.Environment, names: Iterable[str]
    ) -> tuple[TemplateUse, ...]:
        """The named templates and all they refer to, by name.

        Told from their text, not from what ran: Jinja keeps imported templates, so a second run
        asks for fewer. Where a name is computed, every template counts.
        """
        waiting, found = list(names), dict[str, TemplateUse]()
        while waiting:
            name = waiting.pop()
            if name in found or not self._take(environment, name):
                continue
            taken = self._taken[name]
            found[name] = taken.use
            for other in _referred_to(taken.source):
                waiting += self.list_templates() if other is None else [other]
        return tuple(found[name] for name in sorted(found))

    def _take(self, environment: jinja2.Environment, name: str) -> bool:
        """Whether there is such a template; one not read before is read now."""
        if name not in self._taken:
            try:
                self.get_source(environment, name)
            except jinja2.TemplateNotFound:  # an include that may be missing
                return False
        return True

    def _has_own(self, name: str) -> bool:
        if self._own is None or name in self._without:
            return False
        return ".." not in name.split("/") and (self._own / name).is_file()


@lru_cache(maxsize=256)
def _referred_to(source: str) -> tuple[str | None, ...]:
    """What a template includes, imports and extends; None for a name that is computed."""
    try:
        return tuple(meta.find_referenced_templates(_PLAIN.parse(source)))
    except jinja2.TemplateSyntaxError:  # it stands in a branch that never ran
        return ()


_PLAIN = jinja2.Environment()  # noqa: S701  (parses and renders nothing)
