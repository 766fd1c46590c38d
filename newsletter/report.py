"""What operators are told of an issue, 24 hours and 7 days after it was sent: once each, by mail.

The mail says what the figures were at that time, so they travel as its facts: plain texts; a table
is lines of cells parted by tabs. Bars are table cells, not SVG: Gmail and Outlook drop SVG, and a
picture would have to be loaded from somewhere. Each stands in the row that says its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from newsletter import notices, screens, stats, wording
from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial import issues
from newsletter.editorial.issues import IssueDetails
from newsletter.errors import NewsletterError
from newsletter.plurals import counted
from newsletter.rendering.view import percent
from newsletter.store.models import Delivery, Issue, SystemMail
from newsletter.tracking.figures import (
    STAYED,
    ComparisonFigure,
    EarlierFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
    VoteFigure,
)

KIND = "report"
FIRST_DAY_H = 24  # what came in later is one row
MOST_ROWS = 8  # of a table that grows with the issue or the list: the page has all of them
MOST_REASONS = 5  # for which candidates were left out


@dataclass(frozen=True, slots=True)
class Report:
    """One of the reports: due `after` an issue was sent, pointless once it is `over`."""

    name: str
    after: timedelta
    over: timedelta


REPORTS = (
    Report("24 hours", timedelta(hours=24), timedelta(days=7)),
    Report("7 days", timedelta(days=7), timedelta(days=14)),
)

Cells = tuple[str, ...]


def tell(app: App) -> Iterator[str]:
    """Queues the reports that are due, and says so; nobody to tell, nothing is worked out."""
    yield from ()
    people = notices.operators(app)
    if not people:
        return
    for issue, report in _due(app, people):
        try:
            figures = stats.load(app, issue.ref, fresh=True)
        except NewsletterError as error:  # no other report waits for this one
            yield f"{issue.ref}: no report after {report.name}: {error}"
            continue
        facts = facts_of(figures, report.name, page_url=page_url(app, issue))
        with app.session() as session:
            for address in people:
                _queue(app, session, issue, report, address, facts)
        told = counted(len(people), "person", "people")
        yield f"{issue.ref}: report after {report.name} queued for {told}"


def _due(app: App, people: Iterable[str]) -> list[tuple[IssueDetails, Report]]:
    now = app.clock()
    found = []
    with app.session(readonly=True) as session:
        for issue_id, sent_at in _sent_lately(session, now):
            for report in REPORTS:
                if not report.after <= now - sent_at < report.over:
                    continue
                issue = issues.details(session, issue_id)
                if _was_told(app, session, issue, report, people):
                    continue
                if _has_left(session, issue_id):
                    found.append((issue, report))
    return found


def _sent_lately(session: Session, now: datetime) -> list[tuple[int, datetime]]:
    # A scan of `issue`, which has a row a week.
    query = select(Issue.id, Issue.frozen_at).where(
        col(Issue.frozen_at) > now - max(one.over for one in REPORTS),
        col(Issue.frozen_at) <= now - min(one.after for one in REPORTS),
    )
    return [(issue_id, at) for issue_id, at in session.exec(query) if issue_id and at]


def _has_left(session: Session, issue_id: int) -> bool:
    """Whether anything of it was handed over: of one cancelled before that, there is no word."""
    # The issue's part of delivery's primary key, up to the first that was.
    query = select(Delivery.issue_id).where(
        Delivery.issue_id == issue_id, col(Delivery.state).not_in(STAYED)
    )
    return session.exec(query.limit(1)).first() is not None


def _was_told(
    app: App, session: Session, issue: IssueDetails, report: Report, people: Iterable[str]
) -> bool:
    """Whether everybody was: looked up in the unique index of `system_mail.once`."""
    wanted = {_once(app, issue, report, one) for one in people}
    said = session.exec(select(SystemMail.once).where(col(SystemMail.once).in_(wanted))).all()
    return wanted == set(said)


def _queue(
    app: App,
    session: Session,
    issue: IssueDetails,
    report: Report,
    address: str,
    facts: Mapping[str, str],
) -> None:
    once = _once(app, issue, report, address)
    system_mail.queue(session, KIND, once=once, address=address, facts=facts, now=app.clock())


def _once(app: App, issue: IssueDetails, report: Report, address: str) -> str:
    return f"{KIND}:{issue.ref}:{report.name}:{app.keyring.fingerprint(address)}"


def page_url(app: App, issue: IssueDetails) -> str:
    return screens.address(app, f"/desk/issues/{issue.slug}/stats")


def facts_of(figures: IssueFigures, after: str, *, page_url: str) -> dict[str, str]:
    """The figures as a mail's facts. Last cell of a row with a bar: its length in per cent."""
    return {
        "ref": _plain(figures.ref),
        "after": after,
        "headline": _headline(figures),
        "subject": _plain(figures.subject),
        "sent": wording.instant(figures.sent_at),
        "as_of": wording.instant(figures.computed_at),
        "summary": wording.summary(figures),
        "page_url": page_url,
        "notices": _table(
            ("alarm" if one.is_alarm else "note", one.words)
            for one in wording.notices(figures)[:MOST_ROWS]
        ),
        "steps": _table(_steps(figures)),
        "rates": _table(wording.rates(figures)),
        "comparisons": _table(_comparisons(figures)),
        "votes": _table(_votes(figures.comparisons)),
        "links": _table(_links(figures)),
        "hours": _table(_hours(figures)),
        "domains": _table(_domains(figures)),
        "earlier": _table(_earlier(figures)),
    }


def _headline(figures: IssueFigures) -> str:
    fall = figures.waterfall
    votes = counted(fall.voters, "vote")
    clicks = f", {counted(fall.clicks.human, 'click')}" if figures.is_tracked else ""
    return votes + clicks


def _steps(figures: IssueFigures) -> Iterator[Cells]:
    """Depth, name, count, note, and the part of the candidates it is."""
    of = figures.waterfall.candidates
    few = replace(figures.waterfall, excluded=_main_reasons(figures.waterfall.excluded))
    for step in wording.waterfall(replace(figures, waterfall=few)):
        share = "" if step.count is None else str(percent(step.count, of))
        yield str(step.depth), step.name, wording.number(step.count), step.note, share


def _main_reasons(excluded: Mapping[str, int]) -> dict[str, int]:
    """The commonest, and all others as one."""
    ordered = sorted(excluded.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _reason, count in ordered[MOST_REASONS:])
    return dict(ordered[:MOST_REASONS]) | ({"for other reasons": rest} if rest else {})


def _comparisons(figures: IssueFigures) -> list[Cells]:
    if not figures.is_tracked:
        return []
    most = max((one.readers.total for one in figures.comparisons), default=0)
    return [(one.title, *_counts(one.readers, most)) for one in figures.comparisons]


def _votes(comparisons: Iterable[ComparisonFigure]) -> Iterator[Cells]:
    for one in comparisons:
        for vote in one.votes:
            readers, visitors = _tally(vote.ship, vote.skip), _visitors(vote)
            yield vote.tool, f"{vote.panel_percent}%", readers, visitors, str(vote.suspect)


def _visitors(vote: VoteFigure) -> str:
    return _tally(vote.visitors_ship, vote.visitors_skip)


def _tally(ship: int, skip: int) -> str:
    total = ship + skip
    return f"{percent(ship, total)}% of {total:,}" if total else wording.DASH


def _links(figures: IssueFigures) -> list[Cells]:
    """The busiest ones."""

    def busy(link: LinkFigure) -> tuple[int, int, int]:
        return -link.readers.human, -link.readers.total, link.n

    links = sorted(figures.links, key=busy)[:MOST_ROWS]
    most = max((link.readers.total for link in links), default=0)
    return [(wording.link_name(link), *_counts(link.readers, most)) for link in links]


def _counts(readers: Labelled, most: int) -> Cells:
    """Human, unknown, machine, and how long a bar the people's is beside the busiest row's."""
    counts = (readers.human, readers.unknown, readers.machine)
    return (*map(wording.number, counts), str(percent(readers.human, most)))


def _hours(figures: IssueFigures) -> Iterator[Cells]:
    """People who loaded images and who followed links, in the first day's hours, and later."""
    rows = wording.stretches(figures)
    first = rows[: FIRST_DAY_H // wording.STRETCH_H]
    later = rows[len(first) :]
    counts = [(one.name, one.loads.human, one.clicks.human) for one in first]
    if later:
        counts.append(
            (
                "later",
                sum(one.loads.human for one in later),
                sum(one.clicks.human for one in later),
            )
        )
    most = max((loads for _name, loads, _clicks in counts), default=0)
    for name, loads, clicks in counts:
        yield name, wording.number(loads), wording.number(clicks), str(percent(loads, most))


def _domains(figures: IssueFigures) -> Iterator[Cells]:
    for one in figures.domains[:MOST_ROWS]:
        counts = (one.audience, one.reached, one.delivered, one.bounced)
        said = wording.domain_note(one)
        yield one.domain, *map(wording.number, counts), said, "alarm" if one.alarm else ""


def _earlier(figures: IssueFigures) -> Iterator[Cells]:
    """This issue first: loads, clicks, votes, those who left."""
    if not figures.earlier:
        return
    own = (
        wording.share(figures, name).rate for name in ("loads", "clicks", "voters", "unsubscribed")
    )
    yield figures.ref, *map(wording.percent, own)
    for issue in figures.earlier[:MOST_ROWS]:
        yield issue.ref, *map(wording.percent, _own_rates(issue))


def _own_rates(issue: EarlierFigure) -> tuple[float | None, ...]:
    shares = (issue.loads, issue.clicks, issue.voters, issue.unsubscribed)
    return tuple(share.rate for share in shares)


def _table(rows: Iterable[Cells]) -> str:
    return "\n".join("\t".join(map(_plain, row)) for row in rows)


def _plain(cell: str) -> str:
    """On one line, and without what parts cells."""
    return " ".join(cell.split())
