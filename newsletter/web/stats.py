"""The operators' pages of figures: of an issue, of the list; read only, and only for this machine.

Each is there as a file too: `.json` and `.csv` with everything the page is made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Response

from newsletter import stats, wording
from newsletter.editorial import issues
from newsletter.rendering.view import percent
from newsletter.tracking import tables
from newsletter.tracking.figures import (
    CohortFigure,
    EarlierFigure,
    IssueFigures,
    ListFigures,
    Share,
)
from newsletter.tracking.figures_json import to_plain
from newsletter.tracking.tables import Table
from newsletter.web import stats_charts
from newsletter.web.pages import AnySite, Site
from newsletter.web.public import READ
from newsletter.web.screens import only_this_machine
from newsletter.web.studio import STUDIO_POLICY, issue_ref

router = APIRouter(prefix="/desk", dependencies=[Depends(only_this_machine)])


@dataclass(frozen=True, slots=True)
class CohortRow:
    """A cohort as its row shows it; whole per cent for the bars, None of nobody."""

    month: str
    confirmed: int
    active: int
    active_share: str
    active_percent: int | None
    seen: int
    seen_share: str
    seen_percent: int | None


@router.api_route("/issues/{week}/stats", methods=READ)
def issue_stats(site: AnySite, week: str) -> Response:
    """What readers did with an issue: alarms, the waterfall, rates, and everything behind them."""
    figures = stats.load(site.app, issue_ref(week))
    return _page(
        site,
        "studio/stats.html",
        figures=figures,
        slug=week,
        own=site.app.publication.url,
        notices=wording.notices(figures),
        steps=wording.waterfall(figures),
        rates=wording.rates(figures),
        rules=wording.rules(figures),
        stretches=[
            {"name": one.name, "loads": one.loads, "clicks": one.clicks}
            for one in wording.stretches(figures)
        ],
        earlier=earlier_rows(figures),
        charts=stats_charts.issue_charts(figures),
        legend=stats_charts.LABELS,
        verdicts=stats_charts.VERDICTS,
        share=_ship_share,
    )


@router.api_route("/issues/{week}/stats.json", methods=READ)
def issue_json(site: AnySite, week: str) -> Response:
    """Everything there is to say about an issue."""
    return _json(stats.load(site.app, issue_ref(week)), f"{week}-stats")


@router.api_route("/issues/{week}/stats.csv", methods=READ)
def issue_csv(site: AnySite, week: str) -> Response:
    """The same as one long table: table, row, column, value."""
    return _csv(tables.issue_tables(stats.load(site.app, issue_ref(week))), f"{week}-stats")


@router.api_route("/stats.json", methods=READ)
def list_json(site: AnySite) -> Response:
    return _json(stats.load_list(site.app), "list-stats")


@router.api_route("/stats.csv", methods=READ)
def list_csv(site: AnySite) -> Response:
    return _csv(tables.list_tables(stats.load_list(site.app)), "list-stats")


@router.api_route("/stats", methods=READ)
def list_stats(site: AnySite) -> Response:
    """How the list fares: who is on it, who came and went, what became of each month's readers."""
    figures = stats.load_list(site.app)
    with site.app.session(readonly=True) as session:
        sent = [one for one in issues.all_issues(session) if one.frozen]
    return _page(
        site,
        "studio/list_stats.html",
        figures=figures,
        statuses=[(name, wording.number(count)) for name, count in figures.statuses.items()],
        growth=[
            (stats_charts.month_name(one.month), wording.number(one.active_at_end))
            for one in figures.months
        ],
        months=month_rows(figures),
        cohorts=[_cohort(one) for one in figures.cohorts],
        issues=sent,
        charts=stats_charts.list_charts(figures),
        moves=stats_charts.MOVES,
    )


def earlier_rows(figures: IssueFigures) -> list[tuple[str, ...]]:
    """This issue and the ones before it, a row each."""
    rates = {name: wording.share(figures, name) for name in wording.RATES}
    rows = [(figures.ref, figures.sent_at, figures.waterfall.reached, rates)]
    rows += [(one.ref, one.sent_at, one.reached, _rates(one)) for one in figures.earlier]
    return [
        (
            ref,
            wording.day(sent_at),
            wording.number(reached),
            wording.percent(rates["loads"].rate),
            wording.interval(rates["loads"]),
            wording.percent(rates["clicks"].rate),
            wording.interval(rates["clicks"]),
            *(wording.percent(rates[name].rate) for name in ("voters", "unsubscribed")),
            wording.percent(rates["complained"].rate),
        )
        for ref, sent_at, reached, rates in rows
    ]


def _rates(earlier: EarlierFigure) -> dict[str, Share]:
    return {
        "loads": earlier.loads,
        "clicks": earlier.clicks,
        "voters": earlier.voters,
        "unsubscribed": earlier.unsubscribed,
        "complained": earlier.complained,
    }


def month_rows(figures: ListFigures) -> list[tuple[str, ...]]:
    return [
        (
            stats_charts.month_name(one.month),
            *map(
                wording.number,
                (
                    stats_charts.came(one),
                    stats_charts.went(one),
                    one.confirmed,
                    one.returned,
                    one.unsubscribed,
                    one.suppressed,
                    one.erased,
                ),
            ),
        )
        for one in figures.months
    ]


def _cohort(one: CohortFigure) -> CohortRow:
    return CohortRow(
        month=stats_charts.month_name(one.month),
        confirmed=one.confirmed,
        active=one.active,
        active_share=_of(one.active, one.confirmed),
        active_percent=percent(one.active, one.confirmed) if one.confirmed else None,
        seen=one.seen,
        seen_share=_of(one.seen, one.confirmed),
        seen_percent=percent(one.seen, one.confirmed) if one.confirmed else None,
    )


def _of(count: int, of: int) -> str:
    return wording.percent(count / of if of else None)


def _ship_share(ship: int, skip: int) -> str:
    """`64%`; said, not a dash, where nobody has voted."""
    return f"{percent(ship, ship + skip)}%" if ship + skip else "no votes yet"


def _json(figures: IssueFigures | ListFigures, stem: str) -> Response:
    body = json.dumps(to_plain(figures), indent=2, ensure_ascii=False)
    return Response(body, headers=_saved_as(f"{stem}.json"), media_type="application/json")


def _csv(found: Mapping[str, Table], stem: str) -> Response:
    body = "".join(tables.one_long_table(found).csv())
    return Response(body, headers=_saved_as(f"{stem}.csv"), media_type="text/csv")


def _saved_as(name: str) -> dict[str, str]:
    # No quote can stand in it: `issue_ref` lets only a week's own spelling pass.
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _page(site: Site, template: str, **values: Any) -> Response:
    headers = {"Content-Security-Policy": STUDIO_POLICY}
    return site.page(template, headers=headers, words=wording, **values)
