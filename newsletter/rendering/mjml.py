"""Templates to MJML to HTML, bounded on the way.

Templates are looked for in the publication's own folder first, then among the packaged ones. They
run in Jinja's sandbox, and whatever is missing in them is an error that names file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import jinja2
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from newsletter.bundled import bundled
from newsletter.errors import TemplateError
from newsletter.rendering import text
from newsletter.rendering.compiled import CompiledTemplates
from newsletter.rendering.origins import Shelves, TemplateUse
from newsletter.theme import Theme

# Over this the mail is unusable anyway (mail programs clip at 102,400 bytes), and the MJML parser
# recurses: 20,000 nested tags would end the process.
MAX_SOURCE_CHARACTERS = 1_000_000
MAX_DEPTH = 100
MAILS = "email"  # the folder of the mails' templates

_UNSAFE_IN_ATTRIBUTE = re.compile(r"[^ !#-%(-;=?-\[\]-~]")
_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)(?:\"[^\"]*\"|'[^']*'|[^<>\"'])*?(/?)>")
# One comment for Outlook ends where the next begins: together they say the same in fewer bytes.
_BETWEEN_OUTLOOKS = re.compile(r"<!\[endif\]-->\s*<!--\[if mso \| IE\]>")
_TWO_GROUNDS = re.compile(r"background:(#[0-9a-f]{6});background-color:\1;")
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "wbr", "col"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COMPILED = CompiledTemplates()


def packaged_templates() -> Path:
    """The templates that come with the program."""
    return bundled("templates")


def own_folder(templates_dir: Path | None) -> Path | None:
    """The publication's own templates; None where that folder is the packaged one itself."""
    if templates_dir is None or templates_dir.resolve() == packaged_templates().resolve():
        return None
    return templates_dir


def attribute(value: object) -> Markup:
    """A value for an attribute: numeric references for all but plain printable ASCII.

    The MJML printer writes attributes in Rust's debug form (a backslash, a tab or an emoji would
    come out as an escape), so nothing it would touch may reach it.
    """
    return Markup(_UNSAFE_IN_ATTRIBUTE.sub(lambda match: f"&#{ord(match[0])};", str(value)))  # noqa: S704 - just escaped, by numeric references


@dataclass(frozen=True, slots=True)
class _Shop:
    """An environment and what it loads from: replaced together."""

    shelves: Shelves
    environment: SandboxedEnvironment


class Templates:
    """All mail templates in one theme; built once, and again when one of their files changed.

    templates_dir: the publication's own folder, if any. functions: what templates may call.
    without: names for which the own folder is passed over.
    """

    def __init__(
        self,
        templates_dir: Path | None,
        functions: Mapping[str, object],
        *,
        theme: Theme | None = None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._folder = own_folder(templates_dir)
        self._globals = {**functions, "theme": theme or Theme()}
        self._without = without
        self._shop = self._open()

    def uses(self, *names: str) -> tuple[TemplateUse, ...]:
        """The files that the named templates are made of, by name."""
        return self._shop.shelves.uses(self._shop.environment, names)

    def label(self, name: str) -> str:
        """`own template weekly/body.mjml`, once it has been read."""
        return self._shop.shelves.label(name)

    def render(self, name: str, context: Mapping[str, object]) -> str:
        """One template's text. Raises TemplateError naming origin, file and line."""
        # Jinja looks for changes in the files it is asked for, not in those they import: a page
        # that runs for weeks would go on with the old palette. So we look at all of them.
        if not self._shop.shelves.is_current:
            self._shop = self._open()
        try:
            return _bounded(self._shop.environment.get_template(name).generate(context), name)
        except jinja2.TemplateNotFound as error:
            raise TemplateError(
                f"there is no mail template {error.name or name}",
                hint=f"put it into templates/email/, which is looked into for {name}",
            ) from error
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(
                f"{self.label(error.name or name)}, line {error.lineno}: {error.message}",
                hint="mend the template's Jinja syntax",
            ) from error
        except (jinja2.TemplateError, *_TEMPLATE_FAULTS) as error:
            place = self._place(error.__traceback__, name)
            raise TemplateError(
                f"{place}: {error or type(error).__name__}",
                hint="mend that line; templates see only what rendering/view.py holds",
            ) from error

    def _open(self) -> _Shop:
        own = None if self._folder is None else self._folder / MAILS
        shelves = Shelves(own, packaged_templates() / MAILS, without=self._without)
        environment = SandboxedEnvironment(
            loader=shelves,
            autoescape=_is_markup,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_without_controls,
            auto_reload=False,
            bytecode_cache=_COMPILED,
        )
        environment.globals.update(self._globals)
        environment.filters.update(
            attr=attribute,
            wrap=text.wrap,
            row=text.row,
            underline=text.underline,
        )
        return _Shop(shelves, environment)

    def _place(self, traceback: TracebackType | None, name: str) -> str:
        """Template file and line of the innermost template frame."""
        place = self.label(name)
        while traceback is not None:
            template = self._shop.shelves.name_of(traceback.tb_frame.f_code.co_filename)
            if template:
                place = f"{self.label(template)}, line {traceback.tb_lineno}"
            traceback = traceback.tb_next
        return place


_TEMPLATE_FAULTS = (
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
)


def to_html(source: str, *, name: str) -> str:
    """HTML of an MJML source. Raises TemplateError where it is too deep or does not parse."""
    import mjml

    depth = _depth(source)
    if depth > MAX_DEPTH:
        raise TemplateError(
            f"{name}: its tags are nested {depth} deep, over the limit of {MAX_DEPTH}",
            hint="close each tag, and nest fewer tables",
        )
    try:
        html = mjml.mjml2html(source.replace("\r\n", "\n"), disable_comments=True, fonts={})
    except ValueError as error:
        raise TemplateError(
            f"{name}: this is not MJML: {error}",
            hint="look at the tag named there; `issue render` with --out keeps the MJML",
        ) from error
    return _lean(html)


def _lean(html: str) -> str:
    """What MJML says twice, or says although it is so anyway, said once."""
    html = _BETWEEN_OUTLOOKS.sub("", html).replace('<table border="0" ', "<table ")
    return _TWO_GROUNDS.sub(r"background-color:\1;", html)


def squeeze(source: str) -> str:
    """Indentation gone, which nothing shows and every reader would download."""
    return re.sub(r"\n\s+", "\n", source)


def _is_markup(name: str | None) -> bool:
    return name is None or not name.endswith((".txt", ".css"))


def _without_controls(value: object) -> object:
    """Control characters shown as U+FFFD; the check of the issue names the field they stand in."""
    if isinstance(value, str) and _CONTROL.search(value):
        return type(value)(_CONTROL.sub("\ufffd", value))
    return value


def _bounded(pieces: Iterable[str], name: str) -> str:
    kept: list[str] = []
    room = MAX_SOURCE_CHARACTERS
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise TemplateError(
                f"{name} comes out longer than {MAX_SOURCE_CHARACTERS:,} characters",
                hint="shorten the content, or the loop in the template",
            )
        kept.append(piece)
    return "".join(kept)


def _depth(source: str) -> int:
    deepest = depth = 0
    for closing, tag, self_closed in _TAG.findall(source):
        if closing:
            depth -= 1
        elif not self_closed and tag.lower() not in _VOID:
            depth += 1
            deepest = max(deepest, depth)
    return deepest
