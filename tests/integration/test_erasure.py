"""Erasure and one's own data: who it was goes, the account holds, the address is recognised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import READER, Served, copied, id_of, leave, make_home, own_page, press, served
from sqlalchemy import text

from newsletter import desk, dossier, labels, readers
from newsletter import own_page as own_pages
from newsletter.delivery import proof
from newsletter.editorial import votes
from newsletter.errors import NotFoundError
from newsletter.letters import drain_system_mail
from newsletter.rendering.view import Verdict
from newsletter.store.feedback import ProviderEvent
from subscribers import consent, erasure, suppression, tags
from subscribers.address import EmailAddress
from subscribers.consent import SignUpMail
from subscribers.models import SuppressionReason
from subscribers.outcomes import Erasure

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

KEY = EmailAddress.parse(READER).key
KINDS = ["preferences", "image_load", "unsubscribe", "vote"]
SAME_ANSWER = "If we hold anything on that address"


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def data_path(site: Served) -> str:
    return f"/your-data/{site.app.keyring.own_data(id_of(site), site.clock())}"


def act(site: Served, do: str, path: str, **fields: str) -> Any:
    form = {"do": do, "shown": site.stamp(), **fields}
    return site.client.post(path, data=form)


def ask(site: Served, address: str) -> Any:
    form = {"email": address, "shown": site.stamp(), "website": ""}
    return site.client.post("/your-data", data=form)


def suppress(site: Served, reason: SuppressionReason) -> None:
    with site.app.session() as session:
        said = f"550 <{READER}> is nobody"
        suppression.suppress(session, KEY, reason, detail=said, now=site.clock())


def everything(site: Served) -> str:
    """Every row of every table, as text."""
    with site.app.engine.connect() as connection:
        tables = [
            name
            for (name,) in connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
    return "\n".join(repr(site.rows(table)) for table in tables)


def make_known_everywhere(site: Served) -> None:
    """A reader of whom every table knows something."""
    press(site, "save", boxes="yes", name="Erna Einzig", timezone="Asia/Tokyo", tracked="yes")
    press(site, "move", email="erna.einzig@example.org")
    number = id_of(site)
    site.client.get(
        f"/o/{site.app.keyring.delivery(1, number)}.gif", headers={"user-agent": "Erna's own"}
    )
    site.events()  # out of the log, into the store
    leave(site, words="Erna says goodbye")
    with site.app.session() as session:
        session.connection().exec_driver_sql(
            "UPDATE delivery SET reason = '550 5.1.1 <Reader1@Example.com> unknown',"
            f" receipt = 'x {READER}' WHERE subscriber_id = {number}"
        )
        session.connection().exec_driver_sql(
            f"INSERT INTO subscriber_tag (subscriber_id, tag) VALUES ({number}, 'vip')"
        )
        session.add(
            ProviderEvent(
                provider="sendgrid",
                event_id="e1",
                twin="t1",
                kind="bounced",
                at=site.clock(),
                received_at=site.clock(),
                issue_id=1,
                subscriber_id=number,
                code="5.1.1",
                detail=f"550 5.1.1 <{READER}> unknown",
                raw='{"email": "Erna.Einzig@example.org"}',
            )
        )
        slug = (
            session.execute(
                text(
                    "SELECT slug FROM comparison WHERE id IN (SELECT comparison_id FROM issue_item)"
                )
            )
            .scalars()
            .first()
            or ""
        )
        tool = votes.open_poll(session, slug)[1].tool_slugs[0]
        votes.cast(
            session,
            votes.ask(session, issue_id=1, slug=slug, tool=tool),
            Verdict.SHIP,
            subscriber_id=number,
            issue_id=1,
            at=site.clock(),
            agent="Erna's own",
            network="198.51.100.7",
        )
    suppress(site, SuppressionReason.HARD_BOUNCE)


def test_nothing_says_who_it_was_and_the_account_still_holds(site: Served) -> None:
    make_known_everywhere(site)
    number = id_of(site)
    with site.app.session(readonly=True) as session:
        before = proof.prove(session, 1).to_dict()
    assert "einzig" in everything(site).lower()
    assert own_pages.erase(site.app, number) is Erasure.ERASED
    left = everything(site).lower()
    for trace in (READER, "einzig", "erna says", "erna's own", "asia/tokyo", "'vip'"):
        assert trace not in left, trace
    with site.app.session(readonly=True) as session:
        assert proof.prove(session, 1).to_dict() == before
        assert tags.tags_of(session, number) == []
    assert [kind for kind, *_ in site.events()] == KINDS
    assert {reader for _, reader, _ in site.events()} == {None}
    for table in ("vote", "ballot", "to_classify"):
        assert site.rows(table) == [], table
    assert own_pages.erase(site.app, number) is Erasure.ALREADY


def test_a_waiting_mail_is_never_sent_to_who_was_erased(site: Served) -> None:
    press(site, "move", email="erna@example.org")
    ask(site, READER)
    own_pages.erase(site.app, id_of(site))
    drain_system_mail(site.app)
    assert list((site.app.home / "outbox" / "system").glob("*.eml")) == []


@pytest.mark.parametrize("reason", [None, *SuppressionReason])
def test_an_erased_address_is_put_back_by_nobody_but_its_owner(
    site: Served, reason: SuppressionReason | None
) -> None:
    if reason is not None:
        suppress(site, reason)
    own_pages.erase(site.app, id_of(site))
    fingerprint = site.app.keyring.of_address(KEY)
    with site.app.session(readonly=True) as session:
        mark = erasure.standing(session, fingerprint)
        assert mark is not None
        assert (mark.reason, mark.at, mark.detail) == (
            reason or SuppressionReason.ERASED,
            site.clock(),
            "",
        )
        assert erasure.standing_marks(session) == {erasure.mark_of(fingerprint)}
    assert desk.add(
        site.app, READER, "", consent_text="x", given_on="2026-11-01", by="an operator"
    ) == ("kept_suppressed")
    site.clock.forward(hours=1)
    with site.app.session() as session:
        signed_up = consent.sign_up(
            session,
            EmailAddress.parse(READER.upper()),
            source="form",
            wording="yes",
            network="",
            fingerprint=fingerprint,
            now=site.clock(),
        )
    is_barred = reason not in (None, SuppressionReason.COMPLAINT, SuppressionReason.ERASED)
    assert signed_up.mail is (SignUpMail.NOTHING if is_barred else SignUpMail.CONFIRM)
    if not is_barred:
        token = site.app.keyring.confirm(signed_up.subscriber_id, site.clock())
        readers.confirm(site.app, token, source="mail", network="")
        assert dossier.show(site.app, READER)["status"] == "active"
        with site.app.session(readonly=True) as session:
            assert erasure.standing(session, fingerprint) is None


def test_erased_come_back_and_erased_again_leaves_one_mark(site: Served) -> None:
    for _ in range(3):
        own_pages.erase(site.app, id_of(site))
        site.clock.forward(days=2)
        site.sign_up(READER)
        suppress(site, SuppressionReason.COMPLAINT)
    own_pages.erase(site.app, id_of(site))
    with site.app.session(readonly=True) as session:
        mark = erasure.standing(session, site.app.keyring.of_address(KEY))
    assert mark is not None
    assert mark.reason == SuppressionReason.COMPLAINT
    assert READER not in everything(site)


def test_a_complaint_that_comes_after_the_erasure_still_counts(site: Served) -> None:
    number = id_of(site)
    own_pages.erase(site.app, number)
    with site.app.session() as session:
        (row,) = [row for row in site.rows("subscriber") if row[0] == number]
        suppression.suppress(
            session, str(row[2]), SuppressionReason.COMPLAINT, detail="", now=site.clock()
        )
        mark = erasure.standing(session, site.app.keyring.of_address(KEY))
        assert mark is not None
        assert mark.reason == SuppressionReason.COMPLAINT


def test_a_confirmation_from_before_the_erasure_brings_nobody_back(site: Served) -> None:
    site.sign_up("new@example.com")
    token = site.app.keyring.confirm(id_of(site, "new@example.com"), site.clock())
    own_pages.erase(site.app, id_of(site, "new@example.com"))
    page = site.client.post(f"/confirm/{token}", data={"shown": site.stamp()})
    assert page.status_code == 410


def test_events_of_the_erased_keep_their_label_and_their_program(site: Served) -> None:
    site.clock.forward(hours=2)
    number = id_of(site)
    firefox = {"user-agent": "Mozilla/5.0 (X11; rv:130.0) Gecko/20100101 Firefox/130.0"}
    link = f"/c/{site.app.keyring.delivery(1, number)}/1"
    site.client.get(link, headers=firefox)
    site.events()
    site.client.get(link, headers=firefox)  # in the log still, when the erasure comes
    assert own_pages.erase(site.app, number) is Erasure.ERASED
    site.events()
    site.clock.forward(hours=1)
    assert list(labels.take_in(site.app)) == []
    with site.app.session(readonly=True) as session:
        query = "SELECT subscriber_id, label, rule, network FROM event WHERE kind = 'click'"
        first, second = session.execute(text(query)).all()
        agents = session.execute(text("SELECT DISTINCT agent FROM event")).scalars().all()
    assert tuple(first) == (None, "human", "clicked", "")
    assert second.subscriber_id is None
    assert second.network == ""
    assert set(agents) <= {"Firefox", ""}


def test_an_operator_erases_by_address_and_the_log_has_no_name(site: Served) -> None:
    assert own_pages.erase_by_operator(site.app, READER.upper(), by="Olga") is Erasure.ERASED
    (entry,) = site.rows("audit_entry")
    assert "Olga" in entry
    assert READER not in everything(site)
    with pytest.raises(NotFoundError) as caught:
        own_pages.erase_by_operator(site.app, READER, by="Olga")
    assert READER not in str(caught.value)


def test_ones_own_data_is_a_file_with_all_of_it(site: Served) -> None:
    make_known_everywhere(site)
    page = act(site, "fetch", data_path(site))
    assert page.headers["content-type"] == "application/json"
    assert "attachment" in page.headers["content-disposition"]
    held = json.loads(page.text)
    assert held["profile"]["name"] == "Erna Einzig"
    assert held["tags"] == ["vip"]
    assert [one["action"] for one in held["consent"]] == ["added", "unsubscribed"]
    assert held["consent"][-1]["detail"]["words"] == "Erna says goodbye"
    assert held["address_changes"][0]["address"] == "erna.einzig@example.org"
    assert held["suppressions"][0]["reason"] == "hard_bounce"
    assert held["deliveries"][0]["issue"] == "2026-W48"
    assert [one["kind"] for one in held["events"]] == KINDS
    assert {"label", "rule", "agent", "network"} <= set(held["events"][0])
    assert [one["verdict"] for one in held["votes"]] == ["ship"]
    assert [one["code"] for one in held["told_by_provider"]] == ["5.1.1"]


def test_asking_for_the_link_answers_the_same_whatever_we_know(site: Served) -> None:
    site.sign_up("pending@example.com")
    leave(site, "reader2@example.com")
    suppress(site, SuppressionReason.MANUAL)
    known = ("pending@example.com", READER, "nobody@example.com", "reader2@example.com")
    answers = [ask(site, address) for address in known]
    assert len({(page.status_code, page.text) for page in answers}) == 1
    assert SAME_ANSWER in answers[0].text
    mailed = [row[3] for row in site.rows("system_mail") if row[1] == "own_data"]
    assert mailed == [id_of(site, "pending@example.com"), id_of(site, "reader2@example.com")]


def test_the_link_is_mailed_once_in_24_hours_and_opens_the_page(site: Served) -> None:
    for _ in range(3):
        ask(site, READER)
        press(site, "data")
    assert len([row for row in site.rows("system_mail") if row[1] == "own_data"]) == 1
    drain_system_mail(site.app)
    (path,) = (site.app.home / "outbox" / "system").glob("own_data.*.eml")
    assert data_path(site) in path.read_text().replace("=\n", "").replace("=3D", "=")


def test_erasing_takes_a_person_and_a_tick_and_looking_changes_nothing(site: Served) -> None:
    path = data_path(site)
    before = site.state()
    assert site.get(path).status_code == site.client.head(path).status_code == 200
    assert "press the button once more" in act(site, "erase", path, sure="yes", shown="").text
    assert act(site, "erase", path).status_code == 422
    assert act(site, "", path, sure="yes").status_code == 422
    assert site.state() == before
    assert "Your data is erased" in act(site, "erase", path, sure="yes").text
    for page in (site.get(path), act(site, "fetch", path), site.get(own_page_of_nobody(site))):
        assert page.status_code == 410


def own_page_of_nobody(site: Served) -> str:
    return f"/preferences/{site.app.keyring.preferences(1, 1)}"


def test_the_link_is_over_after_24_hours_and_is_no_other_link(site: Served) -> None:
    path = data_path(site)
    preferences = own_page(site).removeprefix("/preferences/")
    assert site.get(f"/your-data/{preferences}").status_code == 400
    site.clock.forward(hours=24, seconds=1)
    for page in (site.get(path), act(site, "erase", path, sure="yes")):
        assert (page.status_code, "has expired" in page.text) == (410, True)
    assert dossier.show(site.app, READER)["status"] == "active"
