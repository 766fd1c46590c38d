"""Settings: where they come from, and what is said of one that cannot be used."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from newsletter.errors import SettingsError
from newsletter.settings import SendAt, described, load_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_setting_everything_stays_on_this_machine() -> None:
    settings = load_settings()
    assert settings.provider == "outbox"
    assert settings.home == Path("var")
    assert settings.database == "sqlite:///var/newsletter.db"
    assert settings.approval == "required"


def test_the_environment_outranks_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "newsletter.toml").write_text(
        'name = "From the file"\nsend_at = "fri 8:30"\nfrom = "News <news@example.com>"\n'
    )
    monkeypatch.setenv("NEWSLETTER_NAME", "From the environment")
    settings = load_settings()
    assert settings.name == "From the environment"
    assert settings.send_at == SendAt(4, time(8, 30))
    assert settings.from_ == "News <news@example.com>"
    sources = {key: source for key, _value, source in described(settings)}
    assert sources["name"] == "NEWSLETTER_NAME"
    assert sources["from"] == "newsletter.toml"
    assert sources["timezone"] == "default"


def test_the_file_of_the_home_is_read_before_that_of_the_current_folder(
    empty_folder: Path,
) -> None:
    (empty_folder / "newsletter.toml").write_text('name = "Here"')
    (empty_folder / "home").mkdir()
    (empty_folder / "home" / "newsletter.toml").write_text('name = "Home"')
    assert load_settings(home=Path("home")).name == "Home"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("NEWSLETTER_TIMEZONE", "Mars/Base", "Europe/Berlin"),
        ("NEWSLETTER_SEND_AT", "25:00", "tue 09:00"),
        ("NEWSLETTER_FROM", "nobody", "Verdicts <news@example.com>"),
        ("NEWSLETTER_FROM", "News\r\nBcc: <x@example.com>", "not one address"),
        ("NEWSLETTER_EDITORS", "a@example.com, b", "not one address"),
        ("NEWSLETTER_PUBLIC_URL", "verdicts.example.com", "https://"),
        ("NEWSLETTER_LIST_ID", "verdicts", "RFC 2919"),
        ("NEWSLETTER_NOW", "2026-11-24T09:00:00", "offset"),
        ("NEWSLETTER_NAME", "=?utf-8?q?x?=", "plain text"),
        ("NEWSLETTER_APPROVAL", "sometimes", "required"),
        ("NEWSLETTER_CATCH_UP_HOURS", "0", "greater than or equal to 1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_to_write(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert variable in str(refused.value)
    assert said in str(refused.value)


def test_an_unknown_key_names_the_nearest_known_one(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_FRMO", "x")
    with pytest.raises(SettingsError, match="did you mean NEWSLETTER_FROM"):
        load_settings()
    monkeypatch.delenv("NEWSLETTER_FRMO")
    (empty_folder / "newsletter.toml").write_text('postal_adress = "1 Example Street"')
    with pytest.raises(SettingsError, match="did you mean postal_address"):
        load_settings()


def test_a_file_that_is_not_toml_is_refused_by_name(empty_folder: Path) -> None:
    (empty_folder / "newsletter.toml").write_text("name = ")
    with pytest.raises(SettingsError, match=r"newsletter\.toml"):
        load_settings()


def test_secrets_are_masked_wherever_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_SECRET_KEYS", "a-secret-of-sixteen,another-secret-of")
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", "sqlite:///password.db")
    settings = load_settings()
    assert len(settings.secret_keys) == 2
    shown = repr(settings) + str(list(described(settings)))
    assert "a-secret-of-sixteen" not in shown
    assert "password" not in shown


def test_an_instant_is_kept_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-24T09:00:00+01:00")
    assert load_settings().now == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
