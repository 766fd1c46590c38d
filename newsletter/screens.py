"""The editors' and the operators' screens, /studio and /desk: for browsers on this machine only.

Where the public address leads elsewhere, a proxy stands in front, and one on this very machine may
ask just as a browser does (nginx as it comes names neither itself nor whom it asks for). Then the
screens want a key as well, which a browser here is given once.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from newsletter.app import App
from newsletter.rendering.quality.addresses import is_loopback

PORT: Final = 8000  # where `serve` listens unless it is told otherwise


def wants_key(app: App) -> bool:
    """Whether being on this machine is not enough."""
    return not is_loopback(urlsplit(app.publication.url).hostname or "")


def key_of(app: App) -> str:
    """24 hexadecimal digits; another one for every home, the same as long as its keys are."""
    return app.keyring.fingerprint("screens:key")


def cookie_of(app: App) -> str:
    """What the key's cookie is called: two publications on one machine are two."""
    return f"screens_{app.keyring.fingerprint('screens:cookie')[:8]}"


def address(app: App, path: str, *, port: int = PORT) -> str:
    """Where a browser on this machine finds a screen. path: begins with /."""
    return f"http://127.0.0.1:{port}{path}" if wants_key(app) else f"{app.publication.url}{path}"
