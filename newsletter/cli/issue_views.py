"""How an issue and its proof look on a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from newsletter.cli.progress import rate_and_time_left
from newsletter.cli.screen import print_facts, print_json, print_table, say, when
from newsletter.plurals import counted

if TYPE_CHECKING:
    from pathlib import Path

    from newsletter.app import App
    from newsletter.control import Going, SettledByEvidence
    from newsletter.delivery.ledger import Held
    from newsletter.delivery.resend import Resent
    from newsletter.editorial.issues import IssueDetails
    from newsletter.editorial.rebuilds import Rebuilt


def as_dict(issue: IssueDetails) -> dict[str, Any]:
    """All of it, for --json."""
    return {
        **asdict(issue),
        "ref": issue.ref,
        "slug": issue.slug,
        "errors": issue.error_count,
        "warnings": issue.warning_count,
    }


def print_or_json(issue: IssueDetails, *, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(issue))
    else:
        print_issue(issue)


def print_one_line(issue: IssueDetails, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(issue))
    else:
        say(f"{issue.ref}: {what}")


def print_issue(issue: IssueDetails, going: Going | None = None) -> None:
    say(f"Issue {issue.ref}: {issue.state}")
    print_facts(
        [
            ("due", when(issue.slot_at) if issue.has_slot else "when it is sent by hand"),
            ("subject", issue.subject),
            ("preheader", issue.preheader),
            ("intro" if issue.has_slot else "says", issue.intro),
            ("audience", "" if issue.audience == "all" else issue.audience),
            ("tracking", "" if issue.is_tracked else "off: no pixel, plain links"),
            ("approval", _approval(issue)),
            ("findings", findings_count(issue)),
            ("sha256", issue.sha256),
            ("own templates", ", ".join(issue.own_templates)),
            ("reason", issue.reason),
            ("frozen", when(issue.frozen_at)),
            ("done", when(issue.done_at)),
            *how_it_goes(going),
        ]
    )
    say()
    if issue.has_slot:
        print_table(("", "comparison", "because"), _choices(issue))
    print_findings(issue)


def how_it_goes(going: Going | None) -> list[tuple[str, str]]:
    """Rate, limit and rest of an issue that is going out."""
    if going is None:
        return []
    facts = [("left", counted(going.left, "message"))]
    if going.pace is not None:
        facts.append(("rate", rate_and_time_left(going.pace.per_second, going.left)))
        facts.append(
            ("limited by", going.pace.limited_by or "nothing of ours: the provider's pace")
        )
    else:
        facts.append(("rate", "nobody is sending: `newsletter serve` or `issue send` goes on"))
    if going.waiting is not None:
        waits = f"{going.waiting.count:,} put off by the server, the first until "
        facts.append(("waiting", waits + when(going.waiting.due_at)))
    return facts


def findings_count(issue: IssueDetails) -> str:
    errors, warnings = counted(issue.error_count, "error"), counted(issue.warning_count, "warning")
    return f"{errors}, {warnings}"


def print_findings(issue: IssueDetails, more: Sequence[Mapping[str, str]] = ()) -> None:
    """The findings, those of a rule together: why it matters, each place, what to do."""
    groups: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for finding in sorted((*issue.findings, *more), key=lambda one: one["severity"] != "error"):
        groups.setdefault((finding["severity"], finding["rule"]), []).append(finding)
    because = explanations() if groups else {}
    for (severity, rule), found in groups.items():
        say()
        say(f"{severity}: {rule}. {because.get(rule, '')}".rstrip())
        for finding in found:
            say(f"  {finding['what']} ({finding['place']})")
        for hint in dict.fromkeys(finding["hint"] for finding in found if finding["hint"]):
            say(f"  next: {hint}")


def explanations() -> dict[str, str]:
    """Why each rule is there, by its id."""
    from newsletter.editorial import livecheck
    from newsletter.rendering import examination, untracked
    from newsletter.rendering.quality import RULES

    return {rule.id: rule.explanation for rule in RULES} | {
        livecheck.RULE_ID: livecheck.EXPLANATION,
        examination.REPRODUCIBLE: examination.EXPLANATION,
        untracked.RULE: untracked.EXPLANATION,
    }


def check_as_dict(issue: IssueDetails, live: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Everything a check knows: findings, the rules it went by, and how old its data is."""
    from newsletter.rendering.quality import RULES, provenance

    return {
        "issue": issue.ref,
        "sha256": issue.sha256,
        "own_templates": issue.own_templates,
        "findings": [*issue.findings, *live],
        "rules": [rule.to_dict() for rule in RULES],
        "data": provenance(),
    }


def print_check(issue: IssueDetails, live: Sequence[Mapping[str, str]] = ()) -> None:
    from newsletter.rendering.quality import RULES, provenance

    dead = f", {counted(len(live), 'link')} without a page" if live else ""
    say(f"{issue.ref}: {findings_count(issue)}{dead}")
    for name in issue.own_templates:
        say(f"own template: {name}")
    print_findings(issue, live)
    data = provenance()
    say()
    say(f"checked by {len(RULES)} rules")
    say(f"client support: {data['support']} ({data['support_updated']})")
    say(f"client shares: {data['shares']} ({data['shares_as_of']})")


def dead_links(app: App, issue: IssueDetails) -> list[dict[str, str]]:
    """Asks the web for each of the issue's links; a finding for each that does not answer."""
    from newsletter.editorial import issues
    from newsletter.editorial.livecheck import live_findings

    with app.session(readonly=True) as session:
        render = issues.rendered(session, issue.id).as_rendered()
    return [finding.to_dict() for finding in live_findings(render.links)]


def rebuilt_as_dict(rebuilt: Rebuilt) -> dict[str, Any]:
    return {
        "issue": rebuilt.issue.ref,
        "holds": rebuilt.holds,
        "sha256": rebuilt.sha256,
        "stored_sha256": rebuilt.stored_sha256,
        "differences": rebuilt.differences,
        "moved_on": rebuilt.moved_on,
    }


def print_rebuilt(rebuilt: Rebuilt, files: Sequence[Path]) -> None:
    """Whether it came out the same, what differs, and what has moved on without effect on it."""
    week = rebuilt.issue.ref
    if rebuilt.holds:
        say(f"{week} rebuilds to the same bytes: sha256 {rebuilt.sha256}")
    else:
        say(f"{week} does not rebuild: sha256 {rebuilt.sha256}, stored {rebuilt.stored_sha256}")
    for line in rebuilt.differences:
        say(f"  {line}" + (", without effect" if rebuilt.holds else ""))
    for line in rebuilt.moved_on:
        say(f"  since then: {line}")
    for path in files:
        say(str(path))


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


def print_held(held: Sequence[Held], *, as_json: bool) -> None:
    """Deliveries without an answer, which wait for a word."""
    if as_json:
        print_json([asdict(one) for one in held])
        return
    say(f"{counted(len(held), 'uncertain delivery', 'uncertain deliveries')}")
    print_table(("reader", "reason"), [(one.address, one.reason) for one in held])


def print_settled_by_evidence(settled: SettledByEvidence, *, dry_run: bool, as_json: bool) -> None:
    """How many are settled, and what said so."""
    if as_json:
        print_json({"dry_run": dry_run, **asdict(settled)})
        return
    said = "would be" if dry_run else "are"
    say(f"{settled.submitted} {said} submitted, {settled.held} still uncertain")
    for kind, count in sorted(settled.by.items()):
        say(f"  {count:>9,}  {kind.replace('_', ' ')}")


def print_resent(resent: Resent, ref: str, *, dry_run: bool, as_json: bool) -> None:
    """How many go out again, who gets it twice, and who is refused and why."""
    if as_json:
        print_json({"dry_run": dry_run, **asdict(resent)})
        return
    said = "would be" if dry_run else ("is" if resent.planned == 1 else "are")
    say(f"{resent.planned:,} {said} planned again")
    if resent.twice:
        say(f"{counted(resent.twice, 'reader')} will have it twice, by your word")
    if resent.refused:
        print_table(("refused", "why"), [(one.address, one.reason) for one in resent.refused])
    if resent.refused_count > len(resent.refused):
        say(f"and {resent.refused_count - len(resent.refused):,} more are refused")
    if resent.planned and not dry_run:
        say(f"`newsletter issue send {ref}` sends them, or the next tick")


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
