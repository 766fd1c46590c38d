"""The publication's own templates beside the bundled ones: what there is, and how to start one."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from newsletter import __version__
from newsletter.errors import NotFoundError, RefusedError
from newsletter.rendering.mjml import MAILS, own_folder, packaged_templates
from newsletter.rendering.origins import Origin

# The first line of a copy; Jinja leaves no trace of it. It tells when the original moved on.
_COPIED = "{{# Copied from {version}, sha256 {sha256}. #}}\n"
_COPY = re.compile(r"\{# Copied from .*, sha256 (?P<sha256>[0-9a-f]{16})\. #\}\n")


@dataclass(frozen=True, slots=True)
class Listed:
    """One template by its path under the templates folder: `email/weekly/body.mjml`."""

    name: str
    origin: Origin
    note: str  # what to know about an own one

    def to_dict(self) -> dict[str, str]:
        return {"name": self.name, "origin": self.origin.value, "note": self.note}


def listed(templates_dir: Path) -> tuple[Listed, ...]:
    """Every template by name."""
    own = own_folder(templates_dir)
    bundled_names, own_names = _names(packaged_templates()), _names(own)
    return tuple(
        Listed(
            name,
            Origin.OWN if name in own_names else Origin.BUNDLED,
            _note(own / name, name) if own and name in own_names else "",
        )
        for name in sorted(bundled_names | own_names)
    )


def copy_bundled(name: str, templates_dir: Path) -> Path:
    """Puts the bundled template into the publication's folder and returns its path there.

    name: as listed; `email/` may be left out. Raises NotFoundError naming the nearest one, and
    RefusedError where there is such a file, or no folder of the publication's own.
    """
    whole = _whole_name(name)
    own = own_folder(templates_dir)
    if own is None:
        raise RefusedError(
            f"{templates_dir} is the folder of the bundled templates itself",
            hint="set NEWSLETTER_TEMPLATES_DIR to a folder of the publication's own",
        )
    text = (packaged_templates() / whole).read_text(encoding="utf-8")
    path = own / whole
    try:
        _write_new(path, _COPIED.format(version=__version__, sha256=_mark(text)) + text)
    except FileExistsError:
        raise RefusedError(
            f"there is a template {path} already", hint="edit it, or move it away first"
        ) from None
    except OSError as error:
        raise RefusedError(
            f"{path} cannot be written: {error.strerror}",
            hint="set NEWSLETTER_TEMPLATES_DIR to a folder that can be written to",
        ) from None
    return path


def _write_new(path: Path, text: str) -> None:
    """A file where there is none, whole or not at all. Raises FileExistsError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)


def _whole_name(name: str) -> str:
    names = _names(packaged_templates())
    for whole in (name, f"{MAILS}/{name}"):
        if whole in names:
            return whole
    short = {whole.removeprefix(f"{MAILS}/"): whole for whole in names}
    near = difflib.get_close_matches(name, [*short, *names], n=1, cutoff=0.0)[0]
    raise NotFoundError(f"there is no bundled template {name}", hint=f"did you mean {near}?")


def _names(folder: Path | None) -> set[str]:
    """Hidden files are editors' and systems' own business."""
    if folder is None or not folder.is_dir():
        return set()
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in paths
        if not any(part.startswith(".") for part in path.parts) and not path.name.endswith("~")
    }


def _note(own: Path, name: str) -> str:
    original = packaged_templates() / name
    if not original.is_file():
        return "nothing bundled has this name"
    text, bundled = own.read_text("utf-8", "replace"), original.read_text(encoding="utf-8")
    copied = _COPY.match(text)
    if (text[copied.end() :] if copied else text) == bundled:
        return "the same as the bundled one"
    if copied and copied["sha256"] != _mark(bundled):
        return "the bundled one has changed since it was copied"
    return ""


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
