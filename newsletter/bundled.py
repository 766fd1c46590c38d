"""What comes with the program: in a wheel, or the checkout's own folders."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def bundled(folder: str) -> Path:
    """The bundled `templates` or `content` folder."""
    inside = _PACKAGE / "bundle" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder
