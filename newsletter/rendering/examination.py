"""A render looked at twice: does it come out the same again, and whose template is to blame?

Both cost further renders, so they are asked for where a person decides on the issue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from newsletter.errors import TemplateError
from newsletter.rendering import snapshot
from newsletter.rendering.origins import Origin
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import Finding, RenderedIssue, Severity
from newsletter.rendering.view import IssueView

REPRODUCIBLE = "reproducible"
EXPLANATION = (
    "An approval is bound to bytes: what comes out different each time cannot be approved."
)
_HINT = "take chance, time and counters out of the templates: what they show comes from the view"
_PARTS = ("subject", "preheader", "html", "text", "links")


def proven(renderer: Renderer, view: IssueView, rendered: RenderedIssue) -> RenderedIssue:
    """The render, with an error finding where its snapshot gives other bytes: one more render."""
    again = renderer.issue(snapshot.view_of(snapshot.to_json(view)), checked=False)
    unlike = [part for part in _PARTS if getattr(rendered, part) != getattr(again, part)]
    if not unlike:
        return rendered
    found = Finding(
        REPRODUCIBLE,
        Severity.ERROR,
        "rendered a second time, it comes out different",
        ", ".join(unlike),
        _HINT,
    )
    return replace(rendered, findings=(found, *rendered.findings))


def attributed(renderer: Renderer, view: IssueView, rendered: RenderedIssue) -> RenderedIssue:
    """The render, with each finding that an own template brought in naming that template.

    A finding is theirs when the bundled templates give fewer of its rule; of several own templates
    it is the one without which it goes away. Costs nothing where there is no own template in it,
    or no finding.
    """
    own = [use.name for use in rendered.templates if use.origin is Origin.OWN]
    if not own or not rendered.findings:
        return rendered
    bundled = _findings(Renderer(None), view)
    if bundled is None:
        return rendered
    counts, usual = _by_rule(rendered.findings), _by_rule(bundled)
    blamed: dict[str, list[str]] = {}
    for name in own if counts - usual else ():
        others = _findings(Renderer(renderer.templates_dir, without=frozenset({name})), view)
        for rule in counts - _by_rule(others) if others is not None else ():
            blamed.setdefault(rule, []).append(name)
    known = {(one.rule, one.what, one.place) for one in bundled}
    return replace(
        rendered,
        findings=tuple(
            _blaming(one, blamed.get(one.rule, own))
            if one.rule in counts - usual and (one.rule, one.what, one.place) not in known
            else one
            for one in rendered.findings
        ),
    )


def _findings(renderer: Renderer, view: IssueView) -> tuple[Finding, ...] | None:
    """None where it does not render: an own template may lean on another."""
    try:
        return renderer.issue(view).findings
    except TemplateError:
        return None


def _by_rule(findings: Iterable[Finding]) -> Counter[str]:
    return Counter(one.rule for one in findings)


def _blaming(found: Finding, names: list[str]) -> Finding:
    whose = "own template " + ", ".join(sorted(names))
    return replace(found, place=f"{whose}: {found.place}" if found.place else whose)
