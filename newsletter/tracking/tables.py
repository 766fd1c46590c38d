"""Every figure as rows: what CSV files hold, a table a kind of figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from newsletter.tracking.figures import IssueFigures, Labelled, ListFigures, Share
from subscribers.spreadsheet import write_row

LABELS = ("human", "unknown", "machine")
SHARE = ("count", "of", "of_what", "rate", "low", "high")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their columns' names. None is an empty cell: nobody knows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def csv(self) -> Iterator[str]:
        """Lines with CRLF; no cell can run as a formula."""
        for row in (self.columns, *self.rows):
            yield write_row(_cell(value) for value in row)


def issue_tables(figures: IssueFigures) -> Mapping[str, Table]:
    """By name, each the name of a file: `waterfall`, `links`, ..."""
    return {
        "issue": _about(figures),
        "waterfall": _waterfall(figures),
        "rates": Table(
            ("what", *SHARE), [(name, *_share(one)) for name, one in figures.rates.items()]
        ),
        "rules": Table(("rule", "events"), list(figures.rules.items())),
        "links": Table(
            ("n", "label", "url", "comparison", *LABELS),
            [
                (one.n, one.label, one.url, one.comparison, *_labelled(one.readers))
                for one in figures.links
            ],
        ),
        "comparisons": Table(
            ("comparison", "title", *LABELS),
            [(one.slug, one.title, *_labelled(one.readers)) for one in figures.comparisons],
        ),
        "votes": _votes(figures),
        "hours": Table(
            ("hour", *(f"loads_{one}" for one in LABELS), *(f"clicks_{one}" for one in LABELS)),
            [(one.hour, *_labelled(one.loads), *_labelled(one.clicks)) for one in figures.hours],
        ),
        "clients": Table(
            ("mail_program", "readers"), [(one.name, one.readers) for one in figures.clients]
        ),
        "domains": _domains(figures),
        "earlier": _earlier(figures),
    }


def list_tables(figures: ListFigures) -> Mapping[str, Table]:
    """By name, each the name of a file: `statuses`, `growth`, `cohorts`."""
    return {
        "statuses": Table(("status", "readers"), list(figures.statuses.items())),
        "growth": Table(
            (
                *("month", "confirmed", "returned", "unsubscribed", "suppressed", "erased"),
                "active_at_end",
            ),
            [
                (
                    *(f"{one.month:%Y-%m}", one.confirmed, one.returned, one.unsubscribed),
                    *(one.suppressed, one.erased, one.active_at_end),
                )
                for one in figures.months
            ],
        ),
        "cohorts": Table(
            ("month", "confirmed", "active", "seen"),
            [
                (f"{one.month:%Y-%m}", one.confirmed, one.active, one.seen)
                for one in figures.cohorts
            ],
        ),
    }


def one_long_table(tables: Mapping[str, Table]) -> Table:
    """All of them in one: table, row, column, value."""
    return Table(
        ("table", "row", "column", "value"),
        [
            (name, number, column, value)
            for name, table in tables.items()
            for number, row in enumerate(table.rows, 1)
            for column, value in zip(table.columns, row, strict=True)
        ],
    )


def _about(figures: IssueFigures) -> Table:
    return _pairs(
        (name, getattr(figures, name))
        for name in (
            *("ref", "week", "kind", "subject", "sent_at", "computed_at", "is_sealed"),
            *("is_tracked", "untracked_readers", "unlabelled", "probes"),
            *("erased_events", "strays"),
        )
    )


def _waterfall(figures: IssueFigures) -> Table:
    fall = figures.waterfall
    rows: list[tuple[str, str, Any]] = [("candidates", "", fall.candidates)]
    rows += [("excluded", reason, count) for reason, count in fall.excluded.items()]
    rows += [("state", state, count) for state, count in fall.states.items()]
    rows += [("reached", "", fall.reached), ("delivered", "", fall.delivered)]
    rows += [("loads", label, getattr(fall.loads, label)) for label in LABELS]
    rows += [("clicks", label, getattr(fall.clicks, label)) for label in LABELS]
    rows += [("voters", "", fall.voters), ("suspects", "", fall.suspects)]
    rows += [("unsubscribed", "", fall.unsubscribed), ("complained", "", fall.complained)]
    return Table(("step", "which", "readers"), rows)


def _votes(figures: IssueFigures) -> Table:
    return Table(
        (
            *("comparison", "tool", "panel_percent", "ship", "skip", "suspect"),
            *("visitors_ship", "visitors_skip"),
        ),
        [
            (
                *(comparison.slug, one.tool, one.panel_percent, one.ship, one.skip, one.suspect),
                *(one.visitors_ship, one.visitors_skip),
            )
            for comparison in figures.comparisons
            for one in comparison.votes
        ],
    )


def _domains(figures: IssueFigures) -> Table:
    return Table(
        (
            *("domain", "audience", "reached", "delivered", "deferred", "bounced"),
            *(f"complained_{name}" for name in SHARE),
            "alarm",
        ),
        [
            (
                *(one.domain, one.audience, one.reached, one.delivered, one.deferred),
                *(one.bounced, *_share(one.complained), one.alarm),
            )
            for one in figures.domains
        ],
    )


def _earlier(figures: IssueFigures) -> Table:
    whats = ("loads", "clicks", "voters", "unsubscribed", "complained")
    return Table(
        ("ref", "sent_at", "reached", *(f"{what}_{name}" for what in whats for name in SHARE)),
        [
            (
                *(one.ref, one.sent_at, one.reached),
                *(value for what in whats for value in _share(getattr(one, what))),
            )
            for one in figures.earlier
        ],
    )


def _pairs(pairs: Iterable[tuple[str, Any]]) -> Table:
    return Table(("name", "value"), list(pairs))


def _labelled(readers: Labelled) -> tuple[int, ...]:
    return tuple(getattr(readers, label) for label in LABELS)


def _share(share: Share) -> tuple[Any, ...]:
    low, high = share.interval
    rate = None if share.rate is None else round(share.rate, 6)
    return share.count, share.of, share.of_what, rate, round(low, 6), round(high, 6)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
