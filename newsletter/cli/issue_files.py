"""An issue as files to look at, to send on, to compare."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.errors import RefusedError

if TYPE_CHECKING:
    from newsletter.app import App
    from newsletter.editorial.issues import IssueDetails, StoredRender
    from newsletter.editorial.rebuilds import Rebuilt


def write_issue(app: App, issue: IssueDetails, folder: Path) -> list[Path]:
    """issue.html, .txt, .mjml, .json and sample.eml in `folder`; raises RefusedError."""
    from newsletter.editorial import issues

    with app.session(readonly=True) as session:
        render = issues.rendered(session, issue.id)
    return _write(app, issue, render, folder)


def write_rebuilt(app: App, rebuilt: Rebuilt, folder: Path) -> list[Path]:
    """The same files of an issue rendered from its snapshot, sent as the publication was then."""
    then = replace(app, publication=rebuilt.publication)
    return _write(then, rebuilt.issue, rebuilt.render, folder)


def _write(app: App, issue: IssueDetails, render: StoredRender, folder: Path) -> list[Path]:
    from newsletter import mailings, renders

    read = mailings.as_read(app, issue, render)
    files = {
        "issue.html": read.html.encode(),
        "issue.txt": read.text.encode(),
        "issue.mjml": render.mjml.encode(),
        "issue.json": _facts(render, is_tracked=mailings.is_tracked(app, issue)),
        "sample.eml": renders.sample_message(app, issue, render),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise RefusedError(
            f"{folder} cannot be written to: {error.strerror}",
            hint="name another folder with --out",
        ) from None
    return [folder / name for name in files]


def _facts(render: StoredRender, *, is_tracked: bool) -> bytes:
    facts = {
        "subject": render.subject,
        "preheader": render.preheader,
        "links": render.links,
        "bytes": {"html": len(render.html.encode()), "text": len(render.text.encode())},
        "findings": render.findings,
        "tracked": is_tracked,
        "sha256": render.sha256,
    }
    return (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode()
