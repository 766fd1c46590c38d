"""`newsletter segments`, from a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import MONDAY_NOON, Newsletter, commands, process
from publication import finished, open_home, readers, store

from newsletter import desk, pipeline, segments
from newsletter.editorial.planning import Changes
from newsletter.errors import RefusedError, SettingsError
from subscribers.exports import export_lines

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each


@pytest.fixture
def home(database_file: Path) -> Path:
    return database_file.parent


@pytest.fixture
def newsletter(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    monkeypatch.setenv("NEWSLETTER_HOME", str(home))
    monkeypatch.setenv("NEWSLETTER_NOW", MONDAY_NOON)
    yield from commands(monkeypatch, capfd)


def test_a_segment_is_saved_shown_listed_and_counted(newsletter: Newsletter) -> None:
    newsletter("subscribers", "add", "ann@example.com", "--consent", "on paper")
    saved = newsletter("segments", "save", "at-example", "domain = 'example.com'")
    assert "at-example: 1 reader, 1 of them active" in saved.out
    shown = newsletter("segments", "show", "at-example", "--json").json
    assert (shown["rule"], shown["readers"]) == ('domain = "example.com"', 1)
    (listed,) = newsletter("segments", "list", "--json").json
    assert listed["name"] == "at-example"
    counted = newsletter("segments", "count", "status = paused", "--json").json
    assert counted == {"readers": 0, "active": 0}


def test_a_rule_that_cannot_be_read_is_shown_with_its_word(home: Path) -> None:
    refused = process(home, "segments", "count", "trackd")
    assert refused.code == 1
    assert "  trackd\n  ^^^^^^" in refused.err
    assert "did you mean tracked?" in refused.err


def test_a_segment_is_removed_unless_an_issue_waits_for_it(
    home: Path, newsletter: Newsletter
) -> None:
    app = open_home(home)
    segments.save(app, "at-example", "domain = 'example.com'", by="Olga")
    readers(app, 1)
    store(app, finished("One vs Two"))
    pipeline.plan(app)
    pipeline.edit(app, "latest", Changes(audience="segment:at-example"))
    with pytest.raises(RefusedError, match=r"the audience of issue 2026-W48.*not frozen yet"):
        segments.remove(app, "at-example", by="Olga")
    pipeline.approve(app, "latest", by="the editor")
    pipeline.send(app, "latest")
    app.engine.dispose()
    gone = newsletter("segments", "remove", "at-example", "--json").json
    assert gone == {"name": "at-example", "outcome": "removed"}
    assert newsletter("segments", "remove", "at-example").code == 1
    assert "segment removed" in newsletter("audit", "list").out
    assert newsletter("issue", "proof", "latest").code == 0
    assert newsletter("issue", "show", "latest").code == 0


def test_a_list_of_disposable_domains_counts_wherever_a_rule_does(
    home: Path, tmp_path: Path
) -> None:
    domains = tmp_path / "domains.txt"
    domains.write_text("# thrown away\nExample.com\n")
    app = open_home(home, disposable_domains=domains)
    readers(app, 2)
    segments.save(app, "keepers", "not disposable", by="Olga")
    assert segments.count(app, "disposable").readers == 2
    assert segments.show(app, "keepers").counted.readers == 0
    assert len(list(desk.readers(app, desk.Wanted(rule="disposable")))) == 2
    with app.session(readonly=True) as session:
        only = segments.condition(app, session, "keepers")
        assert len(list(export_lines(session, only=only))) == 1  # the header
    store(app, finished("One vs Two"))
    pipeline.plan(app)
    pipeline.edit(app, "latest", Changes(audience="segment:keepers"))
    pipeline.approve(app, "latest", by="the editor")
    pipeline.send(app, "latest")
    assert pipeline.prove(app, "latest").excluded == {"not in the segment keepers": 2}
    domains.unlink()
    with pytest.raises(SettingsError, match=r"disposable domains, .*domains.txt, cannot be read"):
        segments.count(app, "disposable")
    app.engine.dispose()
