"""Debian's chromium, as a mail program of the careful kind: no network, one of two palettes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from outside_tools import require_debian_packages
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--force-color-profile=srgb",
]
FONTS = Path(__file__).parents[1] / "tools" / "fonts.conf"
HEIGHT = 812


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    require_debian_packages("chromium", "fonts-liberation", "fonts-dejavu-core")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            env={**os.environ, "FONTCONFIG_FILE": str(FONTS)},
        )
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def palette(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[375, 700])
def width(request: pytest.FixtureRequest) -> int:
    """Pixels: a phone's, and a mail program's on a desk."""
    return int(request.param)


@pytest.fixture
def page(chromium: Browser, width: int, palette: Literal["light", "dark"]) -> Iterator[Page]:
    context = chromium.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=palette, offline=True
    )
    yield context.new_page()
    context.close()
