"""Turns a template of templates/web or templates/studio into a response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2 import TemplateError as JinjaError
from jinja2.sandbox import SandboxedEnvironment

from newsletter.app import App
from newsletter.doors import visitor_ip
from newsletter.errors import TemplateError
from newsletter.rendering.compiled import CompiledTemplates
from newsletter.rendering.mjml import packaged_templates
from newsletter.rendering.verdicts import headline
from newsletter.theme import Theme

_COMPILED = CompiledTemplates()


class Pages:
    """The templates of the site; built once.

    base: the path part of the public URL. proves: whether forms ask for a proof of work.
    """

    def __init__(
        self, folders: tuple[Path, ...], *, name: str, base: str, theme: Theme, proves: bool
    ) -> None:
        self._environment = SandboxedEnvironment(
            loader=FileSystemLoader(folders),
            autoescape=_is_markup,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            bytecode_cache=_COMPILED,
        )
        self._environment.filters["day"] = day
        self._environment.filters["instant"] = instant
        self._environment.filters["headline"] = headline
        self._environment.filters["zip"] = zip
        self._environment.globals.update(site_name=name, base=base, theme=theme, proves=proves)

    def text(self, template: str, **values: Any) -> str:
        """The template with its values; raises TemplateError naming the template."""
        try:
            return self._environment.get_template(template).render(values)
        except JinjaError as error:
            raise TemplateError(
                f"the template {template} does not render: {error}",
                hint="mend it in the folder of NEWSLETTER_TEMPLATES_DIR",
            ) from error


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """The sign-up form as shown: its stamp, what was typed, and what to say about it."""

    shown: str
    email: str
    note: str  # why it is shown again
    error: str  # what is wrong with the address


@dataclass(frozen=True, slots=True)
class Site:
    """What every endpoint works with."""

    app: App
    pages: Pages

    def page(
        self,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        body = self.pages.text(template, **values)
        return Response(body, status, headers, media_type="text/html")

    @property
    def origin(self) -> str:
        """Scheme and host of where a mail's pictures come from: the public URL's, the logo's."""
        publication = self.app.publication
        pictures = (publication.url, publication.theme.logo_url)
        parts = [urlsplit(url) for url in pictures if url]
        return " ".join(dict.fromkeys(f"{part.scheme}://{part.netloc}" for part in parts))

    def sign_up_form(self, *, email: str = "", note: str = "", error: str = "") -> SignUpForm:
        return SignUpForm(shown=self.form_stamp(), email=email, note=note, error=error)

    def form_stamp(self) -> str:
        """Signs the instant a form is shown; see `forms.is_hurried`."""
        return self.app.keyring.form(self.app.clock())


def site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


AnySite = Annotated[Site, Depends(site_of)]


def build_pages(app: App) -> Pages:
    return Pages(
        tuple(template_folders(app.settings.templates_dir)),
        name=app.publication.name,
        base=urlsplit(app.publication.url).path,
        theme=app.publication.theme,
        proves=bool(app.settings.proof_of_work),
    )


def template_folders(own: Path) -> Iterator[Path]:
    """Where templates are looked for, in order: the editors' folder, then the packaged one."""
    yield own
    yield packaged_templates()


def _is_markup(template: str | None) -> bool:
    return template is None or not template.endswith(".css")


def client_ip(request: Request) -> str:
    """The IP of whoever asked, "" where there is none; a header is believed of trusted proxies."""
    peer = request.client.host if request.client else ""
    trusted = site_of(request).app.settings.trusted_proxies
    return visitor_ip(peer, request.headers.getlist("x-forwarded-for"), trusted)


def day(value: date) -> str:
    """`24 November 2026`."""
    return f"{value.day} {value:%B %Y}"


def sentence(words: str) -> str:
    """An error's words as a sentence on a page: capital first, full stop last; "" stays ""."""
    words = words.strip()
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}" if words else ""


def instant(value: datetime) -> str:
    """`24 November 2026, 09:00 UTC`."""
    return f"{day(value)}, {value:%H:%M} {value.tzname()}"
