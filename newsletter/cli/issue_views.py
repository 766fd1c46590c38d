"""How an issue and its proof look on a screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from newsletter.cli.screen import counted, print_facts, print_table, say, when

if TYPE_CHECKING:
    from newsletter.editorial.issues import IssueDetails


def as_dict(issue: IssueDetails) -> dict[str, Any]:
    """All of it, for --json."""
    return {
        **asdict(issue),
        "slug": issue.slug,
        "errors": issue.error_count,
        "warnings": issue.warning_count,
    }


def print_issue(issue: IssueDetails) -> None:
    say(f"Issue {issue.week}: {issue.state}")
    print_facts(
        [
            ("due", when(issue.slot_at)),
            ("subject", issue.subject),
            ("preheader", issue.preheader),
            ("intro", issue.intro),
            ("approval", _approval(issue)),
            ("findings", findings_count(issue)),
            ("sha256", issue.sha256),
            ("reason", issue.reason),
            ("frozen", when(issue.frozen_at)),
            ("done", when(issue.done_at)),
        ]
    )
    say()
    print_table(("", "comparison", "because"), _choices(issue))
    print_findings(issue)


def findings_count(issue: IssueDetails) -> str:
    errors, warnings = counted(issue.error_count, "error"), counted(issue.warning_count, "warning")
    return f"{errors}, {warnings}"


def print_findings(issue: IssueDetails) -> None:
    for finding in issue.findings:
        say(f"{finding['severity']}: {finding['what']} ({finding['rule']}, {finding['place']})")
        if finding["hint"]:
            say(f"  next: {finding['hint']}")


def print_proof(account: Mapping[str, Any]) -> None:
    """The account of an audience, a line a state and a reason."""
    states = {state: count for state, count in account["states"].items() if count}
    width = max((len(state) for state in states), default=0)
    for state, count in states.items():
        say(f"  {state:<{width}}  {count:>9,}")
        if state == "excluded":
            for reason, excluded in sorted(account["excluded"].items()):
                say(f"  {'':<{width}}  {excluded:>9,}  {reason}")
    say(f"  twice {account['duplicates']}, unexplained {account['unexplained']}")
    say("  " + verdict(account))


def verdict(account: Mapping[str, Any]) -> str:
    if not account["holds"]:
        return "The account does not hold."
    if account["complete"]:
        return "The account holds, and nothing is open."
    return "The account holds; some deliveries are still open."


def _approval(issue: IssueDetails) -> str:
    approval = issue.approval
    if approval is None:
        return "none yet"
    if approval.voided_at is not None:
        return f"void since {when(approval.voided_at)}: {approval.void_reason}"
    return f"by {approval.by}, {when(approval.at)}"


def _choices(issue: IssueDetails) -> list[tuple[str, str, str]]:
    """Those chosen in their order, then those left out."""
    reasons = {choice["slug"]: choice["reason"] for choice in issue.choices}
    chosen = [
        ("lead" if place == 0 else str(place + 1), slug, reasons.get(slug, ""))
        for place, slug in enumerate(issue.items)
    ]
    left_out = [
        ("out", choice["slug"], choice["reason"])
        for choice in issue.choices
        if choice["slug"] not in issue.items
    ]
    return chosen + left_out
