"""Settings: where they come from, and what is said of one that cannot be used."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
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
        ("NEWSLETTER_RATE_PER_SECOND", "0", "write messages a second as 10 or 0.5"),
        ("NEWSLETTER_RATE_PER_SECOND", "-1", "write messages a second as 10 or 0.5"),
        ("NEWSLETTER_RATE_PER_SECOND", "inf", "write messages a second as 10 or 0.5"),
        ("NEWSLETTER_RATE_PER_SECOND", "ten", "write messages a second as 10 or 0.5"),
        ("NEWSLETTER_RATE_PER_HOUR", "0", "write a whole number, as 5000"),
        ("NEWSLETTER_RATE_PER_DAY", "1.5", "write a whole number, as 5000"),
        ("NEWSLETTER_RATE_PER_DOMAIN", "gmail.com", "has no rate for gmail.com"),
        ("NEWSLETTER_RATE_PER_DOMAIN", "gmail=5", "gmail.com=5,outlook.com=2"),
        ("NEWSLETTER_RATE_PER_DOMAIN", "gmail.com=1,GMAIL.com=2", "names gmail.com twice"),
        ("NEWSLETTER_WARM_UP_FROM", "tomorrow", "write it as 2026-11-23"),
        ("NEWSLETTER_WARM_UP", "50,100", "needs warm_up_from"),
        ("NEWSLETTER_WARM_UP", "50,many", "50,100,500,1000,5000"),
        ("NEWSLETTER_WARM_UP", "50,100,90", "only rises"),
        ("NEWSLETTER_STOP_AFTER_ERRORS", "-1", "0 for never"),
        ("NEWSLETTER_SMTP_CONNECTIONS", "0", "from 1 to 100"),
        ("NEWSLETTER_SMTP_CONNECTIONS", "101", "from 1 to 100"),
        ("NEWSLETTER_SEEDS", "me", "Verdicts <news@example.com>"),
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


def test_without_a_rate_nothing_is_limited_and_errors_in_a_row_stop_a_send() -> None:
    settings = load_settings()
    limits = (settings.rate_per_second, settings.rate_per_hour, settings.rate_per_day)
    assert limits == (None, None, None)
    assert (settings.rate_per_domain, settings.warm_up_from, settings.warm_up) == ({}, None, ())
    assert (settings.stop_after_errors, settings.smtp_connections) == (100, 4)


@pytest.mark.parametrize("key", ['"GMAIL.com"', "Gmail.com"])  # the second is a table to TOML
def test_the_file_holds_rates_by_domain_as_a_table(empty_folder: Path, key: str) -> None:
    (empty_folder / "newsletter.toml").write_text(
        "rate_per_second = 12.5\nwarm_up_from = 2026-11-23\nwarm_up = [50, 100]\n"
        f'[rate_per_domain]\n{key} = 5\n"bücher.example.com" = 0.25\n'
    )
    settings = load_settings()
    assert settings.rate_per_domain == {"gmail.com": 5.0, "xn--bcher-kva.example.com": 0.25}
    assert settings.warm_up_from == date(2026, 11, 23)
    assert settings.warm_up == (50, 100)
    shown = {key: (value, source) for key, value, source in described(settings)}
    assert shown["rate_per_domain"] == (
        "gmail.com=5, xn--bcher-kva.example.com=0.25",
        "newsletter.toml",
    )
    assert shown["rate_per_second"] == ("12.5", "newsletter.toml")
    assert shown["rate_per_hour"] == ("", "default")


def test_rates_and_seeds_are_lists_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_RATE_PER_DOMAIN", "gmail.com=5, Outlook.com = 0.5,")
    monkeypatch.setenv("NEWSLETTER_WARM_UP_FROM", "2026-11-23")
    monkeypatch.setenv("NEWSLETTER_WARM_UP", "50, 100,500")
    monkeypatch.setenv("NEWSLETTER_RATE_PER_HOUR", "5000")
    monkeypatch.setenv("NEWSLETTER_SEEDS", "ann@example.com, Bob <bob@example.org>")
    settings = load_settings()
    assert settings.rate_per_domain == {"gmail.com": 5.0, "outlook.com": 0.5}
    assert settings.warm_up == (50, 100, 500)
    assert settings.rate_per_hour == 5_000
    assert settings.seeds == ("ann@example.com", "Bob <bob@example.org>")
    shown = {key: (value, source) for key, value, source in described(settings)}
    assert shown["rate_per_domain"] == (
        "gmail.com=5, outlook.com=0.5",
        "NEWSLETTER_RATE_PER_DOMAIN",
    )


@pytest.mark.parametrize(
    "line", ["rate_per_second = true", "rate_per_hour = 1.5", "rate_per_domain = 5", "warm_up = 5",
             "rate_per_second = nan", "warm_up_from = 2026-11-23T09:00:00", "seeds = 5",
             "rate_per_domain = [1]", "warm_up = [5, true]", "warm_up = [0]",
             '[rate_per_domain]\n"gmail.com" = "many"']
)  # fmt: skip
def test_a_rate_of_the_wrong_kind_is_an_error_that_names_it(empty_folder: Path, line: str) -> None:
    (empty_folder / "newsletter.toml").write_text(line)
    with pytest.raises(SettingsError, match=r"setting (rate_per|warm_up|seeds)"):
        load_settings()


def test_a_warm_up_without_its_numbers_is_told_which_setting_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEWSLETTER_WARM_UP_FROM", "2026-11-23")
    with pytest.raises(
        SettingsError, match=r"NEWSLETTER_WARM_UP\): is missing beside warm_up_from"
    ):
        load_settings()


def test_a_table_that_is_misspelled_names_the_nearest_one(empty_folder: Path) -> None:
    (empty_folder / "newsletter.toml").write_text('[rate_per_domian]\n"gmail.com" = 5\n')
    with pytest.raises(SettingsError, match=r"did you mean rate_per_domain\?"):
        load_settings()


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
