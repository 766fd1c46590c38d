"""A migrated SQLite file, made once and copied for every test that wants one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Newsletter, commands
from sqlalchemy import Engine
from told_home import home_of_issues

from newsletter.store.engine import open_engine, upgrade


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest revision; copy it, never write to it."""
    path = tmp_path_factory.mktemp("migrated") / "newsletter.db"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    # Closing the last connection folds the write-ahead log into the file, so one file is all.
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def issues_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of issues that providers tell of (`told_home`); copy it, never write to it."""
    return home_of_issues(tmp_path_factory.mktemp("told") / "home")


@pytest.fixture
def database_file(migrated_file: Path, tmp_path: Path) -> Path:
    """A fresh migrated database of this test's own: `newsletter.db` in its `tmp_path`."""
    return Path(shutil.copy(migrated_file, tmp_path / "newsletter.db"))


@pytest.fixture
def database(database_file: Path) -> Iterator[Engine]:
    """An engine on `database_file`."""
    engine = open_engine(f"sqlite:///{database_file}")
    yield engine
    engine.dispose()


@pytest.fixture
def said_by(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    """Runs a command in this process, with the environment as the test has set it."""
    yield from commands(monkeypatch, capfd)
