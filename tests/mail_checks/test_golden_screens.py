"""The issue and a system mail look as they did: screenshots against golden ones.

After a change that is meant, `newsletter test --renew-goldens` takes them anew; look at them before
they are committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import checked_mails
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page
from screens import GOLDENS, difference, reduced, screenshot

pytestmark = [pytest.mark.slow, pytest.mark.browser]

RENEW = bool(os.environ.get("NEWSLETTER_TEST_RENEW_GOLDENS"))
SHOWN = (checked_mails.FIVE, "confirm")
MAX_BYTES, MAX_BYTES_IN_ALL = 150_000, 1_000_000


@pytest.mark.parametrize("name", SHOWN)
def test_the_mail_looks_as_its_golden(
    page: Page, width: int, palette: str, name: str, tmp_path: Path
) -> None:
    seen = screenshot(page, checked_mails.checked(name).html)
    path = GOLDENS / f"{name}-{width}-{palette}.png"
    if RENEW:
        path.parent.mkdir(exist_ok=True)
        reduced(seen).save(path, optimize=True)
    if not path.is_file():
        pytest.fail(f"there is no {path.name}: `newsletter test --renew-goldens` takes it")
    with Image.open(path) as golden:
        apart = difference(golden, seen)
    if apart:
        new = tmp_path / path.name
        seen.save(new)
        pytest.fail(f"{apart}; see {new}, and renew {path.name} if it is as it should be")


def test_the_goldens_are_small_and_all_are_in_use() -> None:
    sizes = {path.name: path.stat().st_size for path in GOLDENS.iterdir()}
    wanted = {
        f"{name}-{width}-{palette}.png"
        for name in SHOWN
        for width in (375, 700)
        for palette in ("light", "dark")
    }
    assert set(sizes) == wanted
    assert max(sizes.values()) < MAX_BYTES
    assert sum(sizes.values()) < MAX_BYTES_IN_ALL


@pytest.fixture
def confirm(page: Page) -> Image.Image:
    return screenshot(page, checked_mails.checked("confirm").html)


@pytest.mark.parametrize("width", [375], indirect=True)
def test_a_changed_block_of_pixels_is_noticed_wherever_it_lies(confirm: Image.Image) -> None:
    kept = reduced(confirm)
    assert not difference(kept, confirm)
    for left, top in ((0, 0), (101, 203), (confirm.width - 12, 400)):
        changed = confirm.copy()
        ImageDraw.Draw(changed).rectangle((left, top, left + 11, top + 11), fill="#d01040")
        cells = difference(kept, changed).cells
        assert cells
        assert all(abs(x - left) <= 12 and abs(y - top) <= 12 for x, y in cells)


@pytest.mark.parametrize("width", [375], indirect=True)
@pytest.mark.parametrize("palette", ["light"], indirect=True)
@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("</h1>", "</h1><p>One more line.</p>"),
        (r'bgcolor="#\w{6}"', 'bgcolor="#6b0a4c"'),
        (r"background-color:#\w{6}", "background-color:#6b0a4c"),
        ("max-width:640px", "max-width:300px"),
        ("font-weight:700", "font-weight:400"),
    ],
)
def test_a_changed_mail_is_noticed(
    page: Page, confirm: Image.Image, part: str, changed: str
) -> None:
    html = checked_mails.checked("confirm").html
    other, count = re.subn(part, changed, html)
    assert count
    assert difference(reduced(confirm), screenshot(page, other))


@pytest.mark.parametrize("width", [375], indirect=True)
def test_letters_that_are_smoothed_otherwise_are_not(confirm: Image.Image) -> None:
    """A picture enlarged and brought back by a blurring filter: every letter's edge differs."""
    larger = confirm.resize((confirm.width * 3, confirm.height * 3), Image.Resampling.BICUBIC)
    smoothed = larger.resize(confirm.size, Image.Resampling.HAMMING)
    assert smoothed.tobytes() != confirm.tobytes()
    assert not difference(reduced(confirm), smoothed)
