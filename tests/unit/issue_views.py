"""Views built by hand: the seed's comparison and four invented ones, for tests of rendering."""

from __future__ import annotations

from datetime import date

import figure_samples

from newsletter.rendering.view import (
    ComparisonView,
    IssueView,
    Publication,
    SystemMailView,
    TakeView,
    ToolView,
    Verdict,
    VoteView,
)

REVIEWERS = (
    ("The Builder", "Does it work on a Tuesday?"),
    ("The Skeptic", "What kills it?"),
    ("The Futurist", "Where does it lead?"),
    ("The Founder", "Who pays?"),
)

PUBLICATION = Publication(
    name="Weekly AI Tool Verdicts",
    url="https://verdicts.example.com",
    sender="Weekly AI Tool Verdicts <news@verdicts.example.com>",
    postal_address="Weekly AI Tool Verdicts, 12 Example Street, Springfield",
    list_id="weekly.verdicts.example.com",
    reply_to="editors@verdicts.example.com",
)


def takes(verdicts: str, *excerpts: str) -> tuple[TakeView, ...]:
    """Four takes; `verdicts` as `+--+`."""
    return tuple(
        TakeView(
            reviewer=reviewer,
            question=question,
            verdict=Verdict.SHIP if mark == "+" else Verdict.SKIP,
            quote=f"{excerpt} And a good deal more, to the letter, on the page itself.",
            excerpt=excerpt,
        )
        for (reviewer, question), mark, excerpt in zip(REVIEWERS, verdicts, excerpts, strict=True)
    )


def comparison(
    slug: str,
    verdict: str,
    tools: tuple[ToolView, ToolView],
    *,
    sample: bool = True,
) -> ComparisonView:
    return ComparisonView(
        slug=slug,
        title=f"{tools[0].name} vs {tools[1].name}",
        deck="Which one should you ship with?",
        verdict=verdict,
        url=f"https://verdicts.example.com/comparisons/{slug}",
        prices_as_of=date(2026, 11, 20),
        sample=sample,
        tools=tools,
    )


def tool(
    name: str,
    price: str,
    said: tuple[TakeView, ...],
    *,
    category: str = "Writing",
    note: str = "",
    votes: tuple[int, int] | None = None,
) -> ToolView:
    return ToolView(
        name=name,
        category=category,
        tagline="",
        description="",
        entry_price=price,
        price_note=note,
        community=VoteView(*votes) if votes else None,
        takes=said,
    )


SEED = comparison(
    "claude-haiku-open-weights-vs-mistral-8b-instruct-v3",
    "Same price, different licence: Mistral's Apache 2.0 weights can go to production, "
    "Haiku's research licence cannot.",
    (
        tool(
            "Claude Haiku Open Weights",
            "Free",
            takes(
                "+-+-",
                "A downloadable weight file you can run locally without an API. For experiments "
                "and research pipelines it's a genuine unlock.",
                "A non-commercial research license is credit for openness without actually being "
                "open. Build a product on it and you're back on the API.",
                "If Anthropic sees citation counts and fine-tuning papers, they'll ship Sonnet "
                "weights within 18 months. That's the real bet to watch.",
                "The buyer here is nobody. Without an on-ramp to paid API use, this is a PR move "
                "with no unit economics attached.",
            ),
            category="Developer Tools",
            note="Research licence only",
        ),
        tool(
            "Mistral 8B Instruct v3",
            "Free",
            takes(
                "++++",
                "A permissively licensed 8B model you can pull from Hugging Face and run anywhere "
                "without asking anyone's permission.",
                "Mistral isn't competing on raw capability, it's competing on deployment freedom. "
                "I'm calling it a ship on the license alone.",
                "It's the SQLite of LLMs: every developer's local fallback, every edge "
                "deployment's default.",
                "Open source as customer acquisition for a paid inference platform is a proven "
                "playbook. A distribution bet, not a technology bet.",
            ),
            category="Developer Tools",
            note="Apache 2.0",
        ),
    ),
    sample=False,
)

DRAFTS = comparison(
    "draftline-pro-vs-papermill-co",
    "Draftline does the job with fewer surprises on the bill; Papermill needs another quarter.",
    (
        tool(
            "Draftline Pro",
            "$12/mo",
            takes(
                "++-+",
                "I gave it a week of release notes. It asked two questions, both good, and left "
                "my headings alone.",
                "The export is plain Markdown. When they go under, and they might, you walk out "
                "with everything.",
                "A better typewriter. The next thing in writing is not a typewriter.",
                "Five-person teams with a credit card. That is a real buyer, just not a large one.",
            ),
            votes=(255, 157),
        ),
        tool(
            "Papermill & Co.",
            "$9/mo",
            takes(
                "+--+",
                "Setup took four minutes and the first draft was usable. The second was the same "
                "draft.",
                "Pricing is honest at the entry tier and vague exactly where a team would start "
                "to care.",
                "Nothing here that the editor you already have will not do by spring.",
                "The agency plan sells itself: one seat, forty clients.",
            ),
            votes=(309, 68),
        ),
    ),
)

QUERIES = comparison(
    "querybird-vs-tabula-next",
    "QueryBird shows the SQL it wrote before it runs. Tabula asks you to trust it.",
    (
        tool(
            "QueryBird",
            "$0 for one database",
            takes(
                "++++",
                "It shows the query, then the plan, then asks. I have stopped opening my old "
                "client.",
                "Read-only by default, and the audit log is a file I can grep.",
                "The first data tool that treats a question as something worth keeping.",
                "Free for one database is the cleverest price on this page.",
            ),
            category="Data",
            votes=(1204, 96),
        ),
        tool(
            "Tabula <Next>",
            "$49/mo",
            takes(
                "-+--",
                "It dropped an index on staging to make its own answer faster. It was faster.",
                "The permissions model is the best I have seen this year, so I would ship it "
                "behind a replica.",
                "Chat over tables was the idea of two years ago.",
                "At $49 a seat the finance team will find it before the analysts do.",
            ),
            category="Data",
            votes=(1, 0),
        ),
    ),
)

VOICES = comparison(
    "murmur-2-vs-voxforge-studio",
    "A tie. Murmur sounds better, VoxForge costs a third, and neither handles a bad line.",
    (
        tool(
            "Murmur 2",
            "$30/mo",
            takes(
                "+-+-",
                "The voices breathe in the right places, and the API returns timings I can use.",
                "One consent form for cloning a voice, and nobody checks it.",
                "Speech that can be interrupted is the interface everyone will expect.",
                "Thirty dollars for a voice is a hard sell when the phone has one.",
            ),
            category="Audio",
        ),
        tool(
            "VoxForge Studio",
            "$10/mo",
            takes(
                "-+-+",
                "Batch only. I waited eleven minutes for nine seconds of speech.",
                "It watermarks every clip and says so on the first page.",
                "A studio is where speech used to be made.",
                "Ten dollars, no seats, no call with sales.",
            ),
            category="Audio",
            note="Watermarked output on the entry plan",
        ),
    ),
)

AGENTS = comparison(
    "shipcheck-ci-agent-vs-reviewbot-zero",
    "Neither earns a place in the pipeline yet: both comment on everything and decide nothing.",
    (
        tool(
            "Reviewbot Zero",
            "Contact sales",
            takes(
                "----",
                "Forty-one comments on a two-line change. Thirty-nine were about commas.",
                "It approves its own suggestions.",
                "A reviewer without a memory of last week's review is a linter.",
                "No price on the page means the price is a conversation.",
            ),
            category="Developer Tools",
            votes=(3, 40),
        ),
        tool(
            "ShipCheck “CI” Agent for Continuous Delivery & Review (Beta)",
            "$19/mo",
            takes(
                "---+",
                "It found a real bug on Monday. On Tuesday it found the same bug.",
                "The agent needs write access to do a reader's job.",
                "The direction is right and the distance is long.",
                "Teams will pay nineteen dollars to skip the first round of review.",
            ),
            category="Developer Tools",
            votes=(22, 21),
        ),
    ),
)

COMPARISONS = (SEED, DRAFTS, QUERIES, VOICES, AGENTS)


def issue_view(
    comparisons: tuple[ComparisonView, ...] = COMPARISONS,
    *,
    publication: Publication = PUBLICATION,
    subject: str | None = None,
    preheader: str | None = None,
    intro: str | None = None,
) -> IssueView:
    return IssueView(
        id=7,
        week="2026-W48",
        slug="2026-w48",
        day=date(2026, 11, 24),
        publication=publication,
        comparisons=comparisons,
        archive_url=f"{publication.url}/issues/2026-w48",
        subject=subject,
        preheader=preheader,
        intro=intro,
    )


SYSTEM_FACTS: dict[str, dict[str, str]] = {
    "confirm": {},
    "already_subscribed": {},
    "welcome": {
        "next": "Tuesday 24 November 2026, 09:00 (UTC)",
        "issue_url": "https://verdicts.example.com/issues/2026-w47",
        "issue_subject": "Ship Draftline Pro over Papermill & Co.",
    },
    "preferences_link": {},
    "goodbye": {},
    "move_from": {"change": "7"},
    "move_to": {"change": "7"},
    "own_data": {},
    "still_there": {"issues": "12"},
    "approval_due": {
        "week": "2026-W48",
        "slot": "Tuesday 24 November 2026, 09:00 UTC",
        "preview_url": "https://verdicts.example.com/studio/issues/2026-w48",
        "subject": "Ship Mistral 8B Instruct v3",
        "findings": "no errors, one warning",
        "command": "newsletter issue approve 2026-W48",
    },
    "thin_week": {"week": "2026-W48", "slot": "Tuesday 24 November 2026, 09:00 UTC"},
}
SYSTEM_FACTS["approval_overdue"] = SYSTEM_FACTS["approval_due"] | {"why": "nobody approved it"}
SYSTEM_FACTS["send_paused"] = {
    name: SYSTEM_FACTS["approval_due"][name] for name in ("week", "subject", "preview_url")
} | {
    "why": "100 messages in a row were not taken; the last: 550 5.7.1 Relay access denied",
    "command": "newsletter issue resume 2026-W48",
}
SYSTEM_FACTS["slot_missed"] = SYSTEM_FACTS["thin_week"] | {
    "why": "nobody approved it within 24 hours",
    "command": "newsletter issue send 2026-W48",
}
SYSTEM_FACTS["alarm"] = {
    "ref": "2026-W48",
    "limit": "0.3 % or more",
    "said": "Complaints: 0.31% (31 of 10,000), at or above 0.3%, from where Gmail turns mail "
    "away.\nComplaints at gmail.com: 0.5% (25 of 5,000 messages), at or above 0.3%, from where "
    "Gmail turns mail away.",
    "as_of": "25 November 2026, 09:00 UTC",
    "page_url": "https://verdicts.example.com/desk/issues/2026-w48/stats",
    "pause": "newsletter issue pause 2026-W48",
    "who": "newsletter segments save wary 'silent for 3 issues'",
}


SYSTEM_FACTS["webhook_gone"] = {
    "endpoint": "3",
    "host": "hooks.example.com",
    "why": "it answered 410 Gone",
    "dropped": "12 messages",
    "log": "newsletter webhooks log --endpoint 3",
    "again": "newsletter webhooks add",
    "all": "newsletter webhooks list --all",
}
SYSTEM_FACTS["webhook_given_up"] = {
    "endpoint": "3",
    "host": "hooks.example.com",
    "many": "12 messages",
    "tried": "Calls fail since",
    "since": "Tuesday 24 November 2026, 09:00 (UTC)",
    "answer": "ConnectError: All connection attempts failed",
    "log": "newsletter webhooks log --endpoint 3",
    "again": "newsletter webhooks retry --failed-of 3",
}
SYSTEM_FACTS["own_fault"] = {
    "name": "5.7.26",
    "what": "Mailboxes refuse our mail",
    "many": "1,204 refusals",
    "cause": "code 5.7.26",
    "day": "24 Nov 2026",
    "before": "none",
    "means": "the mail does not prove who sent it: SPF and DKIM both failed, or neither is set up",
    "mend": "Set up SPF, DKIM and DMARC for the domain of the sender's address.",
    "pause": "newsletter issue pause latest",
    "proof": "newsletter issue proof latest --csv",
}
SYSTEM_FACTS["own_faults_more"] = {
    "day": "24 Nov 2026",
    "causes": "12 other codes or reasons",
    "many": "318 refusals",
    "largest": "5.7.23 (100), 5.7.27 (90), spam content (80), 5.6.7 (20), 5.7.606 (11)",
    "pause": "newsletter issue pause latest",
    "proof": "newsletter issue proof latest --csv",
}


def system_view(kind: str) -> SystemMailView:
    facts = _report_facts() if kind == "report" else SYSTEM_FACTS[kind]
    return SystemMailView(kind=kind, publication=PUBLICATION, facts=facts)


def _report_facts() -> dict[str, str]:
    """A report's facts are tables, made by the product."""
    from newsletter import report

    page_url = f"{PUBLICATION.url}/desk/issues/2026-w48/stats"
    return report.facts_of(figure_samples.FULL, "24 hours", page_url=page_url)
