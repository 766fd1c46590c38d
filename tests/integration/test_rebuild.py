"""A sent issue rendered again from its snapshot: the same bytes, or what differs, by name."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from publication import WEEK, finished, open_home, planned_and_approved, readers, store
from sqlalchemy import text

from newsletter import pipeline, renders
from newsletter.app import App
from newsletter.bundled import bundled
from newsletter.editorial.planning import Changes
from newsletter.errors import ApprovalError, RefusedError
from newsletter.rendering.render import Renderer

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

TITLE = "Left Tool vs Right Tool"
SLUG = "left-tool-vs-right-tool"


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_home(tmp_path / "home", templates_dir=tmp_path / "own")


@pytest.fixture
def sent(app: App) -> App:
    """One comparison, approved and sent."""
    store(app, finished(TITLE))
    readers(app, 1)
    planned_and_approved(app)
    pipeline.send(app, WEEK)
    return app


def own_template(app: App, name: str, text: str) -> App:
    """A template of the publication's own, as the next process sees it."""
    path = app.settings.templates_dir / "email" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return replace(app, renderer=Renderer(app.settings.templates_dir))


def test_a_sent_issue_rebuilds_to_the_bytes_that_went_out(sent: App) -> None:
    rebuilt = renders.rebuild(sent, WEEK)
    assert rebuilt.holds
    assert rebuilt.sha256 == rebuilt.stored_sha256 == rebuilt.issue.sha256
    assert (rebuilt.differences, rebuilt.moved_on) == ((), ())


def test_a_changed_template_is_named(sent: App) -> None:
    ours = (bundled("templates") / "email" / "weekly" / "body.txt").read_text()
    changed = own_template(sent, "weekly/body.txt", f"Ours.\n{ours}")
    rebuilt = renders.rebuild(changed, WEEK)
    assert not rebuilt.holds
    assert rebuilt.differences == (
        "template weekly/body.txt was the bundled one and is the publication's own now",
    )


def test_a_library_of_another_version_is_named_even_without_effect(
    sent: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "9.9" if name == "premailer" else installed(name)
    )
    rebuilt = renders.rebuild(sent, WEEK)
    assert rebuilt.holds
    assert rebuilt.differences == (f"premailer {installed('premailer')} -> 9.9",)


def test_a_new_revision_is_named_and_the_old_one_rebuilt(sent: App) -> None:
    store(sent, replace(finished(TITLE), verdict="Put right after it went out."))
    rebuilt = renders.rebuild(sent, WEEK)
    assert rebuilt.holds
    assert f"comparison {SLUG}: revision 1 -> 2" in rebuilt.moved_on
    assert "Put right" not in rebuilt.render.html


def test_a_setting_changed_since_is_named_and_the_old_one_rebuilt(sent: App) -> None:
    moved = replace(sent, publication=replace(sent.publication, postal_address="2 Other Street"))
    rebuilt = renders.rebuild(moved, WEEK)
    assert rebuilt.holds
    assert rebuilt.moved_on == ("publication.postal_address is different now",)


def test_where_no_input_differs_chance_is_named(sent: App, tmp_path: Path) -> None:
    dice = own_template(
        open_home(tmp_path / "other", templates_dir=tmp_path / "dice"),
        "weekly/preheader.txt",
        "{{ range(99999)|random }} of {{ range(99999)|random }}",
    )
    store(dice, finished(TITLE))
    pipeline.plan(dice)
    rebuilt = renders.rebuild(dice, WEEK)
    assert not rebuilt.holds
    assert rebuilt.differences == ("no input differs: rendering itself is not deterministic",)


def test_an_issue_that_plays_dice_cannot_be_approved(app: App) -> None:
    dice = own_template(
        app, "weekly/preheader.txt", "{{ range(99999)|random }} of {{ range(99999)|random }}"
    )
    store(dice, finished(TITLE))
    pipeline.plan(dice)
    assert "reproducible" in {one["rule"] for one in pipeline.render(dice, WEEK).findings}
    with pytest.raises(ApprovalError):
        pipeline.approve(dice, WEEK, by="the editor")


def test_a_damaged_snapshot_and_damaged_bytes_are_told_apart(sent: App) -> None:
    with sent.session() as session:
        session.exec(text("UPDATE rendered SET html = html || '<!-- -->'"))  # type: ignore[call-overload] # plain SQL on purpose
    rebuilt = renders.rebuild(sent, WEEK)
    assert not rebuilt.holds
    assert rebuilt.differences == ("the stored bytes are not those of the stored hash",)
    with sent.session() as session:
        session.exec(text("UPDATE rendered SET inputs = replace(inputs, 'Left Tool', 'Loft Tool')"))  # type: ignore[call-overload] # plain SQL on purpose
    with pytest.raises(RefusedError, match="damaged"):
        renders.rebuild(sent, WEEK)


def test_every_new_render_keeps_the_snapshot_of_its_own(app: App) -> None:
    store(app, finished(TITLE))
    pipeline.plan(app)
    pipeline.edit(app, WEEK, Changes(subject="An editor's subject"))
    with app.session(readonly=True) as session:
        rows = session.exec(text("SELECT sha256, inputs FROM rendered ORDER BY id")).all()  # type: ignore[call-overload] # plain SQL on purpose
    subjects = [json.loads(inputs)["view"]["subject"] for _sha256, inputs in rows]
    assert subjects == [None, "An editor's subject"]
    assert renders.rebuild(app, WEEK).holds


def test_the_publications_own_templates_are_listed_with_the_issue(app: App) -> None:
    themed = own_template(app, "weekly/preheader.txt", "Four of four.")
    store(themed, finished(TITLE))
    assert pipeline.plan(themed).own_templates == ("weekly/preheader.txt",)
