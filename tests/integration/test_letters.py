"""Mails to one reader: the link they asked for, a welcome, a goodbye."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from served import ONE_CLICK, READER, Served, copied, id_of, leave, make_home, press, served

from newsletter import desk, dossier
from newsletter.letters import drain_system_mail
from subscribers import suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

SAME_ANSWER = "If that address is on the list"


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def ask(site: Served, address: str, **fields: str) -> Any:
    form = {"email": address, "shown": site.stamp(), "website": "", **fields}
    return site.client.post("/preferences", data=form)


def shown(site: Served, address: str = READER) -> dict[str, Any]:
    return dossier.show(site.app, address)


def queued(site: Served, state: str = "planned") -> list[tuple[str, int | None]]:
    with site.app.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT kind, subscriber_id FROM system_mail WHERE state = '{state}' ORDER BY id"
        )
        return [(kind, subscriber) for kind, subscriber in rows]


def delivered(site: Served, kind: str) -> EmailMessage:
    """The one mail of this kind, drained and read back from the outbox."""
    drain_system_mail(site.app)
    (path,) = (site.app.home / "outbox" / "system").glob(f"{kind}.*.eml")
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def path_in(message: EmailMessage, door: str) -> str:
    """The one address of `/door/...` in the text part, without its origin."""
    (line,) = [line for line in text_of(message).splitlines() if f"/{door}/" in line]
    return f"/{door}/" + line.rpartition(f"/{door}/")[2]


def test_asking_for_the_link_answers_the_same_whatever_we_know(site: Served) -> None:
    site.sign_up("pending@example.com")
    leave(site)
    known = ("pending@example.com", READER, "nobody@example.com", "reader2@example.com")
    answers = [ask(site, address) for address in known]
    assert len({(page.status_code, page.text) for page in answers}) == 1
    assert SAME_ANSWER in answers[0].text
    mailed = [mail for mail in queued(site) if mail[0] == "preferences_link"]
    assert mailed == [("preferences_link", id_of(site, "reader2@example.com"))]


@pytest.mark.parametrize("reason", SuppressionReason)
def test_a_suppressed_address_is_mailed_no_link(site: Served, reason: SuppressionReason) -> None:
    key = EmailAddress.parse(READER).key
    with site.app.session() as session:
        suppression.suppress(session, key, reason, now=site.clock(), detail="")
    assert SAME_ANSWER in ask(site, READER).text
    assert queued(site) == []


def test_an_active_or_paused_reader_is_mailed_the_link_and_it_opens_their_page(
    site: Served,
) -> None:
    press(site, "save", mail="paused")
    ask(site, READER.upper())
    message = delivered(site, "preferences_link")
    assert message["To"] == READER
    assert message["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in message
    page = site.get(path_in(message, "preferences"))
    assert "r…@example.com" in page.text


def test_the_link_is_mailed_once_in_24_hours(site: Served) -> None:
    for hours in (0, 1, 22.9):
        site.clock.forward(hours=hours)
        assert SAME_ANSWER in ask(site, READER).text
    assert len(queued(site)) == 1
    site.clock.forward(hours=0.2)
    ask(site, READER)
    assert len(queued(site)) == 2


@pytest.mark.parametrize("changed", [{"website": "x"}, {"shown": ""}, {"shown": "nonsense"}])
def test_a_machines_question_is_asked_again(site: Served, changed: dict[str, str]) -> None:
    before = site.state()
    page = ask(site, READER, **changed)
    assert "press the button once more" in page.text
    assert f'value="{READER}"' in page.text
    assert site.state() == before


def test_what_is_no_address_is_said_so(site: Served) -> None:
    page = ask(site, "a@@example.com")
    assert (page.status_code, 'aria-invalid="true"' in page.text) == (422, True)


def test_a_confirmed_reader_is_welcomed_once(site: Served) -> None:
    site.sign_up("new@example.com")
    token = site.app.keyring.confirm(id_of(site, "new@example.com"), site.clock())
    for _ in range(2):
        site.client.post(f"/confirm/{token}", data={"shown": site.stamp()})
    message = delivered(site, "welcome")
    text = " ".join(text_of(message).split())
    assert message["To"] == "new@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "due on Tuesday 1 December 2026, 09:00 (UTC)" in text
    assert "/issues/2026-w48" in text
    assert "new@example.com"[0] + "…@" in site.get(path_in(message, "preferences")).text
    left = site.client.post(path_in(message, "unsubscribe"), data=ONE_CLICK)
    assert left.status_code == 200
    assert shown(site, "new@example.com")["status"] == "unsubscribed"
    assert site.events() == []


def test_the_first_reader_is_welcomed_without_an_issue_to_read(tmp_path: Path) -> None:
    with served(tmp_path / "fresh") as fresh:
        fresh.sign_up("new@example.com")
        token = fresh.app.keyring.confirm(id_of(fresh, "new@example.com"), fresh.clock())
        fresh.client.post(f"/confirm/{token}", data={"shown": fresh.stamp()})
        text = text_of(delivered(fresh, "welcome"))
        assert "/issues/" not in text
        assert "due on Tuesday 24 November 2026" in " ".join(text.split())


def test_a_suppressed_address_is_not_welcomed(site: Served) -> None:
    site.sign_up("new@example.com")
    with site.app.session() as session:
        suppression.suppress(
            session,
            EmailAddress.parse("new@example.com").key,
            SuppressionReason.HARD_BOUNCE,
            now=site.clock(),
            detail="5.1.1",
        )
    token = site.app.keyring.confirm(id_of(site, "new@example.com"), site.clock())
    site.client.post(f"/confirm/{token}", data={"shown": site.stamp()})
    assert [kind for kind, _ in queued(site)] == ["confirm"]


def test_leaving_is_answered_by_one_goodbye_a_leaving(site: Served) -> None:
    path = f"/unsubscribe/{site.app.keyring.unsubscribe(1, id_of(site))}"
    for _ in range(3):
        assert site.client.post(path, data=ONE_CLICK).status_code == 200
    message = delivered(site, "goodbye")
    text = " ".join(text_of(message).split())
    assert message["To"] == READER
    assert message["Auto-Submitted"] == "auto-generated"
    assert "No further issue comes" in text
    assert "sign up again" in text


def test_what_waited_for_a_reader_who_left_is_never_sent(site: Served) -> None:
    ask(site, READER)
    leave(site)
    assert queued(site) == [("goodbye", id_of(site))]
    assert queued(site, "failed") == [("preferences_link", id_of(site))]
    drain_system_mail(site.app)
    names = [path.name for path in (site.app.home / "outbox" / "system").glob("*.eml")]
    assert [name.partition(".")[0] for name in names] == ["goodbye"]


def test_an_operators_unsubscribe_says_no_goodbye(site: Served) -> None:
    desk.unsubscribe(site.app, READER, by="an operator")
    assert queued(site) == []
