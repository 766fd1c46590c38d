"""Figures on a terminal and in files: they fit, they hold, and nothing in them can run."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from figure_samples import EMPTY, FULL, LIST, NO_LIST, UNTRACKED
from hypothesis import given
from hypothesis import strategies as st

from newsletter.cli.stats_views import WIDTH, issue_lines, list_lines
from newsletter.tracking.figures import Alarm, IssueFigures, Labelled, LinkFigure, Share
from newsletter.tracking.tables import Table, issue_tables, list_tables, one_long_table

pytestmark = pytest.mark.slow


def read(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(table.csv()), newline="")))


@pytest.mark.parametrize("figures", [FULL, EMPTY, UNTRACKED])
def test_a_report_fits_into_eighty_columns(figures: IssueFigures) -> None:
    long = replace(
        figures,
        subject="Ship " + "it " * 60,
        links=(LinkFigure(1, "A very long label of a link " * 4, "u", "", Labelled(1, 2, 3)),),
    )
    for line in issue_lines(long):
        assert len(line) <= WIDTH
        assert line == line.rstrip()


@pytest.mark.parametrize("figures", [LIST, NO_LIST])
def test_a_report_of_the_list_fits_into_eighty_columns(figures: object) -> None:
    assert all(len(line) <= WIDTH for line in list_lines(figures))  # type: ignore[arg-type]


def test_the_waterfall_comes_first_and_alarms_before_it() -> None:
    lines = list(issue_lines(FULL))
    headings = [line for line in lines if line and line[0] not in " a" and "ALARM" not in line]
    assert headings[1].startswith("sent 24 November 2026")
    assert "as of 1 December 2026" in headings[1]
    waterfall = next(n for n, line in enumerate(lines) if line.startswith("Who it was for"))
    assert any(line.startswith("ALARM") for line in lines[:waterfall])
    assert not any(line.startswith("ALARM") for line in lines[waterfall:])


def test_humans_and_machines_stand_side_by_side() -> None:
    lines = list(issue_lines(FULL))
    begins = next(n for n, line in enumerate(lines) if line.startswith("Links"))
    assert lines[begins + 1].split() == ["link", "human", "unknown", "machine"]
    assert lines[begins + 2].split()[-3:] == ["401", "60", "390"]


def test_rates_come_with_their_interval_and_denominator() -> None:
    said = " ".join(" ".join(issue_lines(FULL)).split())
    assert "30.2% (29.4-31.0%) 3,660 of 12,116 readers it reached" in said


def test_an_issue_with_nothing_to_tell_shows_no_empty_tables() -> None:
    shown = "\n".join(issue_lines(EMPTY))
    assert "Mail programs" not in shown
    assert "Links" not in shown


def test_every_table_is_a_file_that_reads_back() -> None:
    tables = issue_tables(FULL)
    assert {row["step"] for row in read(tables["waterfall"])} >= {"candidates", "loads", "voters"}
    (machine,) = [
        row
        for row in read(tables["waterfall"])
        if (row["step"], row["which"]) == ("loads", "machine")
    ]
    assert machine["readers"] == "2701"
    assert read(tables["votes"])[1]["visitors_ship"] == "18"
    assert read(tables["domains"])[0]["alarm"] == Alarm.HIGH
    rate = read(tables["rates"])[0]
    assert [rate[name] for name in ("what", "count", "of", "of_what", "rate")] == [
        *("loads", "3660", "12116", "readers it reached", "0.30208"),
    ]
    interval = FULL.rates["loads"].interval
    assert (float(rate["low"]), float(rate["high"])) == pytest.approx(interval, abs=1e-6)
    assert read(list_tables(LIST)["growth"])[0]["month"] == "2026-03"


def test_one_long_table_holds_every_cell_of_every_table() -> None:
    tables = issue_tables(FULL)
    rows = read(one_long_table(tables))
    assert len(rows) == sum(len(one.rows) * len(one.columns) for one in tables.values())
    assert {"table": "clients", "row": "1", "column": "readers", "value": "1902"} in rows


def test_what_nobody_knows_is_an_empty_cell() -> None:
    (about,) = [row for row in read(issue_tables(EMPTY)["issue"]) if row["name"] == "sent_at"]
    assert about["value"] == ""
    (rate,) = [row for row in read(issue_tables(EMPTY)["rates"]) if row["what"] == "loads"]
    assert (rate["of"], rate["rate"], rate["high"]) == ("0", "", "1.0")


@pytest.mark.parametrize("label", ["=HYPERLINK(1)", "@sum", "+1", "-1", "\tx"])
def test_no_cell_can_run_in_a_spreadsheet(label: str) -> None:
    figures = replace(FULL, links=(LinkFigure(1, label, "https://x.example", "", Labelled()),))
    (row,) = read(issue_tables(figures)["links"])
    assert row["label"] == f"'{label}"


@pytest.mark.parametrize(
    ("count", "of", "alarm"),
    [
        (1, 100, Alarm.NONE),  # one person is no rate
        (1, 100_000, Alarm.NONE),
        (5, 999, Alarm.NONE),  # of so few nothing can be said
        (2, 1_000, Alarm.HIGH),
        (1, 1_000, Alarm.NONE),
        (9, 10_000, Alarm.NONE),
        (10, 10_000, Alarm.HIGH),  # a limit is not to be reached
        (29, 10_000, Alarm.HIGH),
        (30, 10_000, Alarm.TOO_HIGH),
        (3, 1_000, Alarm.TOO_HIGH),
        (0, 0, Alarm.NONE),
    ],
)
def test_an_alarm_is_of_many_messages_and_more_than_one_complaint(
    count: int, of: int, alarm: Alarm
) -> None:
    assert Alarm.of(Share(count, of, "readers")) is alarm


@given(of=st.integers(1, 10**7), part=st.floats(0, 1))
def test_an_interval_holds_its_rate_and_stays_within_nought_and_one(of: int, part: float) -> None:
    share = Share(int(of * part), of, "readers")
    low, high = share.interval
    assert 0.0 <= low <= (share.rate or 0.0) + 1e-12
    assert (share.rate or 0.0) - 1e-12 <= high <= 1.0
    assert low < high


def test_intervals_are_wilson_s() -> None:
    """Newcombe's examples (Statistics in Medicine 17, 1998, table I)."""
    for count, of, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        found = Share(count, of, "").interval
        assert found == pytest.approx((low, high), abs=5e-5)
    assert Share(0, 20, "").interval == pytest.approx((0.0, 0.1611), abs=5e-5)
