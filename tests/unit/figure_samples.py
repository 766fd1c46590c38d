"""Figures made up for the tests of what shows them: every number in them is another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from newsletter.tracking.figures import (
    Alarm,
    ClientFigure,
    CohortFigure,
    ComparisonFigure,
    DomainFigure,
    EarlierFigure,
    HourFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
    ListFigures,
    MonthFigure,
    Share,
    VoteFigure,
    Waterfall,
)

SENT_AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
COMPUTED_AT = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)
REACHED = "readers it reached"
URL = "https://verdicts.example.com"
SEED = "claude-haiku-open-weights-vs-mistral-8b-instruct-v3"

EXCLUDED = {"unsubscribed": 31, "suppressed: hard bounce": 12, "receives issues monthly": 7}
STATES = {"submitted": 902, "delivered": 11_214, "bounced": 23, "uncertain": 2, "failed": 3}


def _hours() -> tuple[HourFigure, ...]:
    """A morning's peak that fades, an echo a day later, nothing on the third day."""
    peak = [1_210, 811, 402, 281, 201, 150, 121, 98, 77, 61, 52, 40]
    echo = [0] * 12 + [62, 81, 55, 33, 21, 14]
    return tuple(
        HourFigure(
            hour,
            Labelled(
                human=loads, unknown=loads // 5, machine=loads // 2 + (900 if not hour else 0)
            ),
            Labelled(human=loads // 6, unknown=loads // 40, machine=loads // 9),
        )
        for hour, loads in enumerate(peak + echo)
    )


def _domain(name: str, audience: int, complained: int, alarm: Alarm) -> DomainFigure:
    reached = audience - audience // 500
    return DomainFigure(
        domain=name,
        audience=audience,
        reached=reached,
        delivered=reached - 3,
        deferred=4,
        bounced=audience // 500,
        complained=Share(complained, reached, REACHED),
        alarm=alarm,
    )


def _earlier(week: int, human: int) -> EarlierFigure:
    return EarlierFigure(
        ref=f"2026-W{week}",
        sent_at=SENT_AT - timedelta(weeks=48 - week),
        reached=11_800 + week,
        loads=Share(human, 11_800 + week, REACHED),
        clicks=Share(human // 6, 11_800 + week, REACHED),
        voters=Share(human // 11, 11_800 + week, REACHED),
        unsubscribed=Share(week - 30, 11_800 + week, REACHED),
        complained=Share(3, 11_800 + week, REACHED),
    )


FULL = IssueFigures(
    ref="2026-W48",
    week="2026-W48",
    kind="weekly",
    subject="Ship Mistral 8B Instruct v3",
    sent_at=SENT_AT,
    computed_at=COMPUTED_AT,
    is_sealed=False,
    is_tracked=True,
    untracked_readers=44,
    unlabelled=9,
    probes=310,
    waterfall=Waterfall(
        candidates=12_194,
        excluded=EXCLUDED,
        states=STATES,
        reached=12_116,
        delivered=11_214,
        loads=Labelled(human=3_660, unknown=735, machine=2_701),
        clicks=Labelled(human=604, unknown=91, machine=402),
        voters=288,
        suspects=6,
        unsubscribed=17,
        complained=15,
    ),
    rates={
        "loads": Share(3_660, 12_116, REACHED),
        "clicks": Share(604, 12_116, REACHED),
        "voters": Share(288, 12_116, REACHED),
        "unsubscribed": Share(17, 12_116, REACHED),
        "complained": Share(15, 12_116, REACHED),
        "bounced": Share(23, 12_144, "readers it was to get to"),
    },
    rules={"voted": 301, "machine_apple": 2_601, "head": 310, "unproven": 826},
    links=(
        LinkFigure(1, "Mistral 8B", f"{URL}/comparisons/{SEED}", SEED, Labelled(401, 60, 390)),
        LinkFigure(2, "Draftline Pro", f"{URL}/comparisons/drafts", "drafts", Labelled(188, 22, 8)),
        LinkFigure(3, "Read online", f"{URL}/issues/2026-w48", "", Labelled(15, 9, 4)),
    ),
    comparisons=(
        ComparisonFigure(
            SEED,
            "Claude Haiku Open Weights vs Mistral 8B Instruct v3",
            Labelled(401, 60, 390),
            (
                VoteFigure("Claude Haiku Open Weights", 50, 71, 112, 4, 5, 9),
                VoteFigure("Mistral 8B Instruct v3", 100, 201, 33, 2, 18, 3),
            ),
        ),
        ComparisonFigure(
            "drafts",
            "Draftline Pro vs Papermill & Co.",
            Labelled(188, 22, 8),
            (
                VoteFigure("Draftline Pro", 75, 44, 16, 0, 0, 0),
                VoteFigure("Papermill & Co.", 50, 0, 0, 0, 0, 0),
            ),
        ),
    ),
    hours=_hours(),
    clients=(ClientFigure("Apple Mail", 1_902), ClientFigure("Gmail", 1_333)),
    domains=(
        _domain("gmail.com", 7_510, 13, Alarm.HIGH),
        _domain("outlook.com", 3_204, 2, Alarm.NONE),
        _domain("other", 1_430, 0, Alarm.NONE),
    ),
    earlier=tuple(_earlier(week, human) for week, human in ((47, 3_322), (46, 3_505), (45, 2_990))),
)

EMPTY = replace(
    FULL,
    waterfall=Waterfall(0, {}, {}, 0, None, Labelled(), Labelled(), 0, 0, 0, 0),
    sent_at=None,
    untracked_readers=0,
    unlabelled=0,
    probes=0,
    rates={name: Share(0, 0, share.of_what) for name, share in FULL.rates.items()},
    rules={},
    links=(),
    comparisons=(),
    hours=(),
    clients=(),
    domains=(),
    earlier=(),
)

UNTRACKED = replace(
    FULL,
    is_tracked=False,
    untracked_readers=0,
    unlabelled=0,
    probes=0,
    waterfall=replace(FULL.waterfall, loads=Labelled(), clicks=Labelled(), delivered=None),
    rates=FULL.rates | {"loads": Share(0, 0, REACHED), "clicks": Share(0, 0, REACHED)},
    rules={},
    links=(),
    hours=(),
    clients=(),
)

MONTHS = tuple(
    MonthFigure(
        date(2026, month, 1), 900 + 71 * month, month, 100 + 13 * month, 9, 2, 6_000 + 700 * month
    )
    for month in range(3, 12)
)
LIST = ListFigures(
    computed_at=COMPUTED_AT,
    statuses={"active": 12_144, "pending": 61, "paused": 50, "unsubscribed": 1_931, "erased": 18},
    months=MONTHS,
    cohorts=tuple(
        CohortFigure(one.month, one.confirmed, one.confirmed - 210, one.confirmed // 2)
        for one in MONTHS
    ),
)
NO_LIST = ListFigures(COMPUTED_AT, {}, (), ())
