"""An issue rendered once more from its snapshot, and what is not as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from newsletter.editorial.issues import IssueDetails, StoredRender
from newsletter.rendering import snapshot
from newsletter.rendering.render import Renderer
from newsletter.rendering.view import IssueView, Publication

DAMAGED = "the stored bytes are not those of the stored hash"
BY_CHANCE = "no input differs: rendering itself is not deterministic"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The fresh render of a stored issue.

    publication: as it was then. stored_sha256: of the render that stands. differences: what it is
    made of now and was not then. moved_on: what was edited or set anew since, which a rebuild
    takes no part of.
    """

    issue: IssueDetails
    render: StoredRender
    publication: Publication
    stored_sha256: str
    differences: tuple[str, ...]
    moved_on: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return self.render.sha256

    @property
    def holds(self) -> bool:
        """The same bytes, and those that are stored."""
        return self.sha256 == self.stored_sha256 and DAMAGED not in self.differences


def rebuild(
    renderer: Renderer,
    issue: IssueDetails,
    stored: StoredRender,
    *,
    today: IssueView,
    newest: Mapping[str, int],
) -> Rebuilt:
    """Renders from the snapshot, with the templates and libraries of now.

    today: the view the issue would have now. newest: each comparison's newest revision. Raises
    RefusedError where the snapshot is damaged, or of another version of the views.
    """
    then = snapshot.read(stored.inputs)
    view = then.as_view()
    fresh = renderer.issue(view)
    now = replace(snapshot.take(view, fresh, newest), view=snapshot.to_json(today))
    differences = snapshot.differences(then, now)
    if stored.as_rendered().sha256 != stored.sha256:
        differences = (DAMAGED, *differences)
    if fresh.sha256 != stored.sha256 and not differences:
        differences = (BY_CHANCE,)
    return Rebuilt(
        issue=issue,
        render=stored.of(fresh),
        publication=view.publication,
        stored_sha256=stored.sha256,
        differences=differences,
        moved_on=snapshot.moved_on(then, now),
    )
