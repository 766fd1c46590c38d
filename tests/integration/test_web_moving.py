"""A change of address: asked for on one's page, agreed to in both mailboxes, and no oracle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import READER, Served, copied, id_of, leave, make_home, press, served

from newsletter import dossier
from newsletter import own_page as own_pages
from newsletter.letters import drain_system_mail
from subscribers import consent, suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

NEW = "new@example.org"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("moving") / "home", sent=True)


@pytest.fixture
def site(home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(home, tmp_path)) as one:
        yield one


def ask(site: Served, address: str = NEW) -> Any:
    return press(site, "move", email=address)


def queued(site: Served) -> list[tuple[str, str]]:
    with site.app.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT kind, address FROM system_mail ORDER BY id")
        return [(kind, address) for kind, address in rows]


def end(site: Served, *, is_new: bool, change: int = 1) -> str:
    return f"/address/{site.app.keyring.move(change, site.clock(), is_new=is_new)}"


def say(site: Served, path: str, do: str = "agree", **fields: str) -> Any:
    form = {"do": do, "sure": "yes", "shown": site.stamp(), **fields}
    return site.client.post(path, data=form)


def address_of(site: Served) -> str:
    (first, *_) = site.rows("subscriber")
    return str(first[1])


@pytest.mark.parametrize("first_is_new", [True, False])
def test_a_move_is_done_once_both_agreed_in_any_order(site: Served, first_is_new: bool) -> None:
    assert "Asked." in ask(site).text
    assert queued(site) == [("move_from", ""), ("move_to", NEW)]
    one, other = (end(site, is_new=side) for side in (first_is_new, not first_is_new))
    assert "Agreed, on this side" in say(site, one).text
    assert address_of(site) == READER
    assert "Your mail has moved" in say(site, other).text
    assert address_of(site) == NEW
    record = dossier.show(site.app, NEW)["consent"][-1]
    assert record["action"] == "address_changed"
    with site.app.session(readonly=True) as session:
        detail = consent.consent_history(session, id_of(site, NEW))[-1].detail
    assert detail == {"from": READER, "to": NEW}
    assert say(site, other).status_code == 410


def test_the_mails_name_no_address_and_lead_to_the_page_that_does(site: Served) -> None:
    ask(site)
    drain_system_mail(site.app)
    for kind, other in (("move_from", NEW), ("move_to", READER)):
        (path,) = (site.app.home / "outbox" / "system").glob(f"{kind}.*.eml")
        body = path.read_text().partition("\n\n")[2]
        assert other not in body
        assert "/address/" in body.replace("=\n", "")
    shown = site.get(end(site, is_new=False)).text
    assert "n…@example.org" in shown
    assert NEW not in shown


@pytest.mark.parametrize(
    "state", ["active", "pending", "left", "hard_bounce", "complaint", "erased"]
)
def test_an_address_that_is_taken_answers_as_any_other_and_is_told_nothing(
    site: Served, state: str
) -> None:
    taken = "reader2@example.com"
    free = ask(site, "free@example.org").text
    if state == "left":
        leave(site, taken)
    elif state == "pending":
        taken = "pending@example.org"
        site.sign_up(taken)
    elif state == "erased":
        own_pages.erase(site.app, id_of(site, taken))
    elif state != "active":
        with site.app.session() as session:
            key = EmailAddress.parse("barred@example.org").key
            suppression.suppress(
                session, key, SuppressionReason(state), detail="", now=site.clock()
            )
        taken = "barred@example.org"
    already = len(queued(site))
    page = ask(site, taken)
    assert page.status_code == 200
    assert page.text == free
    assert queued(site)[already:] == [("move_from", "")]
    assert "Agreed, on this side" in say(site, end(site, is_new=False, change=2)).text
    assert address_of(site) == READER


def test_an_address_taken_since_is_not_taken_twice(site: Served) -> None:
    ask(site)
    say(site, end(site, is_new=False))
    site.sign_up(NEW)
    page = say(site, end(site, is_new=True))
    assert (page.status_code, "This change is over" in page.text) == (410, True)
    assert address_of(site) == READER


@pytest.mark.parametrize("is_new", [True, False])
def test_either_mailbox_can_refuse(site: Served, is_new: bool) -> None:
    ask(site)
    say(site, end(site, is_new=not is_new))
    assert "Nothing has moved" in say(site, end(site, is_new=is_new), "refuse", sure="").text
    for side in (True, False):
        assert site.get(end(site, is_new=side)).status_code == 410
        assert say(site, end(site, is_new=side)).status_code == 410
    assert address_of(site) == READER


@pytest.mark.parametrize(
    ("changed", "status"), [({"shown": ""}, 200), ({"sure": ""}, 422), ({"do": "yes"}, 422)]
)
def test_agreeing_takes_a_person(site: Served, changed: dict[str, str], status: int) -> None:
    ask(site)
    before = site.state(), site.rows("address_change")
    path = end(site, is_new=True)
    assert say(site, path, **({"do": "agree"} | changed)).status_code == status
    assert site.get(path).status_code == site.client.head(path).status_code == 200
    assert (site.state(), site.rows("address_change")) == before


def test_what_stands_against_the_old_address_stays_with_it(site: Served) -> None:
    ask(site)
    say(site, end(site, is_new=False))
    key = EmailAddress.parse(READER).key
    with site.app.session() as session:
        suppression.suppress(
            session, key, SuppressionReason.HARD_BOUNCE, detail="5.1.1", now=site.clock()
        )
    say(site, end(site, is_new=True))
    assert dossier.show(site.app, NEW)["suppressed"] is None
    with site.app.session(readonly=True) as session:
        assert suppression.is_suppressed(session, key) is SuppressionReason.HARD_BOUNCE


def test_a_later_wish_ends_an_earlier_one_and_the_fourth_of_a_day_asks_nobody(site: Served) -> None:
    for n in range(1, 5):
        assert "Asked." in ask(site, f"new{n}@example.org").text
    assert [kind for kind, _ in queued(site)] == ["move_from", "move_to"] * 3
    assert site.get(end(site, is_new=True, change=2)).status_code == 410
    assert site.get(end(site, is_new=True, change=3)).status_code == 200


def test_the_same_wish_twice_asks_once(site: Served) -> None:
    assert ask(site).text == ask(site).text
    assert len(queued(site)) == 2


def test_a_strangers_mailbox_is_asked_once_a_day_and_three_times_ever(site: Served) -> None:
    for day in range(5):
        ask(site, NEW)
        ask(site, f"other{day}@example.org")
        ask(site, NEW)
        site.clock.forward(days=1, seconds=1)
    assert [address for kind, address in queued(site) if kind == "move_to"].count(NEW) <= 3


def test_the_link_is_over_after_a_week(site: Served) -> None:
    ask(site)
    path = end(site, is_new=True)
    site.clock.forward(days=7, seconds=2)
    for page in (site.get(path), say(site, path)):
        assert (page.status_code, "has expired" in page.text) == (410, True)


def test_who_left_is_not_moved(site: Served) -> None:
    ask(site)
    leave(site)
    assert say(site, end(site, is_new=False)).status_code == 410
    assert site.get(end(site, is_new=True)).status_code == 410


@pytest.mark.parametrize("typed", ["", "nobody", "a@@example.com", "käse@example.org", "x" * 5_000])
def test_what_is_no_address_comes_back_with_what_is_wrong(site: Served, typed: str) -> None:
    before = site.state()
    page = ask(site, typed)
    assert (page.status_code, 'id="email-error"' in page.text) == (422, True)
    assert re.search(r'name="email"[^>]*aria-invalid', page.text)
    assert site.state() == before
