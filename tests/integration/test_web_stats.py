"""The operators' pages of figures: what they show, who sees them, and the same as files."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import ISSUE_PATH, Served, copied, make_home, served, stands_in_order, visible_text

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the figures made up live there

import figure_samples as samples

from newsletter import stats, wording
from newsletter.tracking import events
from newsletter.tracking.events import EventKind
from newsletter.web.studio import STUDIO_POLICY

pytestmark = pytest.mark.slow

PAGE, LIST_PAGE = f"/desk{ISSUE_PATH}/stats", "/desk/stats"
PATHS = [path + ending for path in (PAGE, LIST_PAGE) for ending in ("", ".json", ".csv")]


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def show(monkeypatch: pytest.MonkeyPatch, site: Served, figures: Any) -> Any:
    monkeypatch.setattr(stats, "load", lambda _app, _ref: figures)
    return site.get(PAGE)


def test_alarms_come_first_and_then_the_steps_that_add_up(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = visible_text(show(monkeypatch, site, samples.FULL).text)
    wanted = [wording.summary(samples.FULL), "As of 1 December 2026, 09:05 UTC"]
    wanted += [one.words for one in wording.notices(samples.FULL)]
    for step in wording.waterfall(samples.FULL):
        wanted += [step.name, step.note, wording.number(step.count)]
    for name, rate, interval, of_what in wording.rates(samples.FULL):
        wanted += [name, of_what, rate, interval]
    assert stands_in_order(wanted, shown) is None


def test_every_figure_there_is_stands_on_the_page(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = visible_text(show(monkeypatch, site, samples.FULL).text)
    for comparison in samples.FULL.comparisons:
        assert comparison.title in shown
        for vote in comparison.votes:
            assert stands_in_order([vote.tool, str(vote.ship), str(vote.skip)], shown) is None
    for link in samples.FULL.links:
        assert stands_in_order([link.label, str(link.readers.human)], shown) is None
    for domain in samples.FULL.domains:
        row = [domain.domain, wording.number(domain.reached), wording.domain_note(domain)]
        assert stands_in_order(row, shown) is None
    for client in samples.FULL.clients:
        assert stands_in_order([client.name, f"{client.readers:,}"], shown) is None
    for earlier in samples.FULL.earlier:
        assert stands_in_order([earlier.ref, wording.percent(earlier.loads.rate)], shown) is None
    for _name, label, why, count in wording.rules(samples.FULL):
        assert stands_in_order([why, label, f"{count:,}"], shown) is None


@pytest.mark.parametrize("figures", [samples.UNTRACKED, samples.EMPTY])
def test_what_is_not_known_is_no_zero_per_cent(
    site: Served, monkeypatch: pytest.MonkeyPatch, figures: Any
) -> None:
    page = show(monkeypatch, site, figures)
    assert page.status_code == 200
    shown = visible_text(page.text)
    assert " 0% " not in shown.partition("Comparisons and votes")[0]
    assert stands_in_order(["Rates", "Images loaded by people", "—", "—"], shown) is None


def test_the_page_runs_nothing_and_styles_nothing_by_itself(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = show(monkeypatch, site, samples.FULL)
    assert page.headers["content-security-policy"] == STUDIO_POLICY
    for forbidden in ("<script", "style=", "<style", "javascript:", "<form"):
        assert forbidden not in page.text


def test_the_list_shows_growth_and_what_became_of_each_month(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "load_list", lambda _app: samples.LIST)
    shown = visible_text(site.get(LIST_PAGE).text)
    for name, count in samples.LIST.statuses.items():
        assert stands_in_order([name, wording.number(count)], shown) is None
    for month in samples.MONTHS:
        assert stands_in_order([f"{month.month:%b %Y}", f"{month.active_at_end:,}"], shown) is None
    first = samples.LIST.cohorts[0]
    row = ["Confirmed in", "Mar 2026", "1,113", "903", "81.1%", f"{first.seen}", "50.0%"]
    assert stands_in_order(row, shown) is None
    monkeypatch.setattr(stats, "load_list", lambda _app: samples.NO_LIST)
    assert "Nobody has confirmed yet." in visible_text(site.get(LIST_PAGE).text)


def test_a_home_that_just_sent_an_issue_has_all_pages_and_files(site: Served) -> None:
    for path in PATHS:
        assert site.get(path).status_code == 200, path
    shown = visible_text(site.get(PAGE).text)
    assert "It reached 2 of 2 candidates." in shown
    assert "2 readers on it" in visible_text(site.get(LIST_PAGE).text)


def test_what_a_reader_did_shows_on_the_page_and_in_both_files(site: Served) -> None:
    before = json.loads(site.get(f"{PAGE}.json").text)["waterfall"]
    with site.app.session() as session:
        events.append(
            session,
            issue_id=1,
            subscriber_id=1,
            kind=EventKind.CLICK,
            link=1,
            at=site.clock(),
            method="GET",
            agent="Mozilla/5.0",
            network="192.0.2.1",
        )
    stats.load(site.app, "latest", fresh=True)
    after = json.loads(site.get(f"{PAGE}.json").text)["waterfall"]
    assert (before["clicks"]["total"], after["clicks"]["total"]) == (0, 1)
    rows = list(csv.reader(io.StringIO(site.get(f"{PAGE}.csv").text)))
    assert len({len(row) for row in rows}) == 1
    steps = stands_in_order(["Clicks", "1", "human"], visible_text(site.get(PAGE).text))
    assert steps is None


def test_files_are_for_saving_and_named_after_the_issue(site: Served) -> None:
    kinds = {".json": "application/json", ".csv": "text/csv"}
    for path, stem in ((PAGE, "2026-w48-stats"), (LIST_PAGE, "list-stats")):
        for ending, kind in kinds.items():
            answer = site.get(path + ending)
            assert answer.headers["content-type"].startswith(kind)
            disposition = answer.headers["content-disposition"]
            assert disposition == f'attachment; filename="{stem}{ending}"'


def test_the_studio_leads_there_once_an_issue_went_out(site: Served) -> None:
    assert f'href="{PAGE}"' in site.get("/studio").text
    assert f'href="{PAGE}"' in site.get(f"/studio{ISSUE_PATH}").text
    assert f'href="{LIST_PAGE}"' in site.get("/studio").text
    assert f'href="{PAGE}"' in site.get(LIST_PAGE).text


@pytest.mark.parametrize("path", ["/desk/issues/2031-w01/stats", "/desk/issues/nonsense/stats"])
def test_an_issue_that_is_not_there_is_a_404(site: Served, path: str) -> None:
    assert site.get(path).status_code == 404
    assert site.get(f"{path}.json").status_code == 404


@pytest.mark.parametrize(
    ("client", "headers"),
    [("198.51.100.7", {}), ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"})],
)
def test_nobody_from_elsewhere_sees_a_figure(
    sent_home: Path, tmp_path: Path, client: str, headers: dict[str, str]
) -> None:
    with served(copied(sent_home, tmp_path), client=(client, 1)) as site:
        for path in PATHS:
            assert site.get(path, headers=headers).status_code == 403


def test_looking_changes_nothing(site: Served) -> None:
    before = site.state() | {"event": site.events()}
    for path in PATHS:
        site.get(path)
    assert site.state() | {"event": site.events()} == before
