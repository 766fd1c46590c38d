"""How fast the SMTP provider hands over 40 KB messages, beside others, in one run.

The sinks are processes of their own on the other core. Absolute figures drift with the machine and
are printed for orientation; the ratio is what to watch.
"""

from __future__ import annotations

import asyncio
import smtplib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import aiosmtplib
import pytest
from smtp_sinks import SENDER, envelopes, ours_s, postfix_sink, postfix_source_s, sink, splice
from timing import in_turns, ratio

from newsletter.providers.base import Envelope

CONNECTIONS = 10
SMTPLIB, AIOSMTPLIB, SMTP_SOURCE, FAR_AWAY = 3.0, 5.0, 1.1, 4.0  # the goals
ROUNDS = 5


def smtplib_s(port: int, given: Sequence[Envelope], connections: int = 1) -> float:
    """Seconds with the standard library, each connection kept open in a thread of its own."""

    def send(some: Sequence[Envelope]) -> None:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="here") as client:
            for envelope in some:
                client.sendmail(SENDER, [envelope.address], splice(envelope))

    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(send, [given[n::connections] for n in range(connections)]))
    return time.perf_counter() - started


def aiosmtplib_s(port: int, given: Sequence[Envelope]) -> float:
    """Seconds with aiosmtplib, each connection kept open in a task of its own."""

    async def send(some: Sequence[Envelope]) -> None:
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=port, local_hostname="here", start_tls=False
        )
        async with client:
            for envelope in some:
                await client.sendmail(SENDER, [envelope.address], splice(envelope))

    async def send_all() -> None:
        await asyncio.gather(*[send(given[n::CONNECTIONS]) for n in range(CONNECTIONS)])

    started = time.perf_counter()
    asyncio.run(send_all())
    return time.perf_counter() - started


@pytest.mark.slow
def test_handing_over_beside_smtplib_and_aiosmtplib(capsys: pytest.CaptureFixture[str]) -> None:
    many, few = envelopes(3_000), envelopes(600)
    with sink(ROUNDS * (2 * len(many) + 2 * len(few))) as port:
        four, ten, single, pool = in_turns(
            ROUNDS,
            lambda: ours_s(port, many, 4) / len(many),
            lambda: ours_s(port, many, CONNECTIONS) / len(many),
            lambda: smtplib_s(port, few) / len(few),
            lambda: aiosmtplib_s(port, few) / len(few),
        )
    with capsys.disabled():
        print(
            f"\n  {len(splice(many[0])) / 1000:.0f} KB messages by SMTP, DATA:"
            f" {1 / median(four):,.0f} a second over 4 connections;"
            f" smtplib kept open: {1 / median(single):,.0f};"
            f" ratio {ratio(single, four):.1f} (goal {SMTPLIB:.0f})"
            f"\n  {1 / median(ten):,.0f} a second over {CONNECTIONS} connections;"
            f" aiosmtplib over as many: {1 / median(pool):,.0f};"
            f" ratio {ratio(pool, ten):.1f} (goal {AIOSMTPLIB:.0f})"
        )


@pytest.mark.slow
def test_handing_over_in_chunks_beside_data(capsys: pytest.CaptureFixture[str]) -> None:
    many = envelopes(3_000)
    total = ROUNDS * len(many)
    with sink(total) as with_data, sink(total, chunking=True) as with_bdat:
        data, bdat = in_turns(
            ROUNDS,
            lambda: ours_s(with_data, many, 4) / len(many),
            lambda: ours_s(with_bdat, many, 4) / len(many),
        )
    with capsys.disabled():
        print(
            f"\n  over 4 connections: {1 / median(bdat):,.0f} a second with BDAT,"
            f" {1 / median(data):,.0f} with DATA; ratio {ratio(data, bdat):.2f}"
        )


@pytest.mark.slow
def test_handing_over_to_smtp_sink_beside_smtp_source(capsys: pytest.CaptureFixture[str]) -> None:
    many = envelopes(2_000)
    with postfix_sink() as port:
        ours, kept, fresh = in_turns(
            ROUNDS,
            lambda: ours_s(port, many, CONNECTIONS) / len(many),
            lambda: postfix_source_s(port, len(many), "-d") / len(many),
            lambda: postfix_source_s(port, len(many)) / len(many),
        )
    with capsys.disabled():
        print(
            f"\n  into Postfix's smtp-sink, {CONNECTIONS} connections:"
            f" {1 / median(ours):,.0f} a second; smtp-source -s {CONNECTIONS}:"
            f" {1 / median(fresh):,.0f}, with its connections kept open (-d):"
            f" {1 / median(kept):,.0f}; ratio {ratio(fresh, ours):.2f}"
            f" (goal {SMTP_SOURCE}), kept open {ratio(kept, ours):.2f}"
        )


@pytest.mark.slow
def test_handing_over_far_away_beside_as_many_connections_in_turns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    many, few = envelopes(4_000), envelopes(500)
    with (
        sink(2 * len(few), delay_s=0.010) as with_data,
        sink(len(many), delay_s=0.010, chunking=True) as with_bdat,
    ):
        bdat = ours_s(with_bdat, many, CONNECTIONS) / len(many)
        data = ours_s(with_data, few, CONNECTIONS) / len(few)
        theirs = smtplib_s(with_data, few, CONNECTIONS) / len(few)
    with capsys.disabled():
        print(
            f"\n  at 10 ms a round trip, {CONNECTIONS} connections: {1 / bdat:,.0f} a second with"
            f" BDAT, {1 / data:,.0f} with DATA; smtplib in as many threads: {1 / theirs:,.0f};"
            f" ratio {theirs / bdat:.1f} with BDAT (goal {FAR_AWAY:.0f}),"
            f" {theirs / data:.1f} with DATA"
        )
