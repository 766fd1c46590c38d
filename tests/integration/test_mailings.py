"""A mailing as providers get it: whole bytes, or content and tokens that come to the same."""

from __future__ import annotations

import email
from collections.abc import Mapping
from email.policy import default as modern
from pathlib import Path

from publication import WEEK, finished, open_home, planned_and_approved, readers, store

from newsletter import mailings, pipeline
from newsletter.editorial import issues
from subscribers.audience import Reader


def test_replacing_tokens_gives_what_splicing_gives(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home", unsubscribe_mailto="leave@example.com")
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    pipeline.send(app, WEEK)
    with app.session(readonly=True) as session:
        issue = issues.find(session, WEEK)
        stored = issues.rendered(session, issue.id)
    mailing = mailings.issue_mailing(app, issue, stored)
    envelope = mailings.envelope_maker(app, issue)(Reader(1, "reader@example.com", "Ann <&> Bob"))
    spliced = email.message_from_bytes(mailing.splice(envelope), policy=modern)
    content, tokens = mailing.content, mailing.content.tokens(envelope)
    for part, kind in ((content.html, "html"), (content.text, "plain")):
        sent = spliced.get_body((kind,)).get_content()
        assert _replaced(part, tokens).split() == sent.split()
    own = content.own_headers(envelope)
    assert "mailto:leave@example.com" in own["List-Unsubscribe"]
    for name, value in {**content.headers, **own}.items():
        assert " ".join(str(spliced[name]).split()) == value
    assert {"List-Unsubscribe-Post", "Feedback-ID", "List-Id"} <= set(content.headers)


def _replaced(part: str, tokens: Mapping[str, str]) -> str:
    """As a provider does it: raw text, one token after the other."""
    for token, value in tokens.items():
        part = part.replace(token, value)
    return part
