"""Which keys and addresses SendGrid's provider is willing to begin with."""

from __future__ import annotations

import pytest

from newsletter.errors import SettingsError
from newsletter.providers.sendgrid import SendGrid

KEY = "SG.secret-id.secret-key"


def test_what_is_shown_of_a_provider_has_no_key() -> None:
    assert KEY not in repr(SendGrid(KEY))


@pytest.mark.parametrize("key", ["", "with blank", "line\nbreak", "ключ"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_unseen(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SendGrid(key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.sendgrid.com", "file:///etc/passwd", "https://", "https://u:p@example.com",
        "api.sendgrid.com", "https://example.com?x=1", "https://[", "",
    ],
)  # fmt: skip
def test_an_address_that_would_give_the_key_away_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="NEWSLETTER_SENDGRID_URL"):
        SendGrid(KEY, base_url=url)
