"""Coming and going through the pages, as people, mail programs and machines do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import Served, copied, make_home, served, visible_text

from newsletter import dossier
from subscribers import consent, suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
WAITING = "new@example.com"


@pytest.fixture(scope="module")
def planned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("planned") / "home", sent=True)


@pytest.fixture
def site(planned_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(planned_home, tmp_path)) as one:
        yield one


def status_of(site: Served, email: str) -> str:
    return str(dossier.show(site.app, email)["status"])


def id_of(site: Served, email: str) -> int:
    with site.app.session(readonly=True) as session:
        found = consent.find(session, EmailAddress.parse(email))
        assert found is not None
        assert found.id is not None
        return found.id


def confirm_path(site: Served, email: str) -> str:
    return f"/confirm/{site.app.keyring.confirm(id_of(site, email), site.clock())}"


def leave_path(site: Served, email: str = "reader1@example.com") -> str:
    return f"/unsubscribe/{site.app.keyring.unsubscribe(1, id_of(site, email))}"


def test_a_sign_up_waits_for_its_mail_and_keeps_what_was_agreed_to(site: Served) -> None:
    page = site.sign_up(WAITING)
    assert page.status_code == 200
    assert "Check your inbox" in page.text
    shown = dossier.show(site.app, WAITING)
    assert shown["status"] == "pending"
    (record,) = shown["consent"]
    assert record["network"] == "127.0.0.0/24"
    words = visible_text(site.get("/").text)
    for agreed in record["wording"].rstrip(".").split(". "):
        assert agreed in words
    assert len(site.rows("system_mail")) == 1


def test_the_answer_is_the_same_whatever_we_know_of_an_address(site: Served) -> None:
    site.sign_up("pending@example.com")
    with site.app.session() as session:
        suppression.suppress(
            session,
            EmailAddress.parse("reader2@example.com").key,
            SuppressionReason.HARD_BOUNCE,
            now=site.clock(),
            detail="5.1.1",
        )
    known = ("pending@example.com", "reader1@example.com", "reader2@example.com", WAITING)
    answers = [site.sign_up(email) for email in known]
    assert len({(page.status_code, page.text) for page in answers}) == 1
    assert len({tuple(page.headers.items()) for page in answers}) == 1


@pytest.mark.parametrize(
    "email", ["", "no address", "a@b", "a@@example.com", "x" * 400, "a\x00@b.c"]
)
def test_what_is_no_address_comes_back_with_what_is_wrong(site: Served, email: str) -> None:
    before = site.state()
    page = site.sign_up(email)
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text
    assert "name@example.com" in page.text
    assert site.state() == before


def test_a_typed_address_is_put_back_escaped(site: Served) -> None:
    page = site.sign_up('"><b>x</b>@example')
    assert page.status_code == 422
    assert "<b>x</b>" not in page.text
    assert "&lt;b&gt;" in page.text


@pytest.mark.parametrize(
    "changed",
    [
        {"website": "https://example.com"},
        {"shown": ""},
        {"shown": "nonsense"},
        {"shown": "A" * 60},
    ],
)
def test_a_form_a_machine_filled_in_is_shown_again(site: Served, changed: dict[str, str]) -> None:
    before = site.state()
    page = site.sign_up(WAITING, **changed)
    assert page.status_code == 200
    assert "press the button once more" in page.text
    assert f'value="{WAITING}"' in page.text
    assert site.state() == before


def test_a_form_is_taken_two_seconds_after_it_was_shown_and_not_before(site: Served) -> None:
    early = site.sign_up(WAITING, shown=site.stamp(age_s=1.999))
    assert "press the button once more" in early.text
    ahead = site.sign_up(WAITING, shown=site.stamp(age_s=-60))
    assert "press the button once more" in ahead.text
    assert "Check your inbox" in site.sign_up(WAITING, shown=site.stamp(age_s=2)).text


def test_a_form_shown_again_can_be_sent_by_a_person(site: Served) -> None:
    page = site.sign_up(WAITING, shown="")
    fresh = page.text.partition('name="shown" value="')[2].partition('"')[0]
    assert "press the button" in site.sign_up(WAITING, shown=fresh).text
    site.clock.forward(seconds=2.5)
    assert "Check your inbox" in site.sign_up(WAITING, shown=fresh).text


def test_no_other_token_passes_for_a_form_s_stamp(site: Served) -> None:
    keyring = site.app.keyring
    for token in (
        keyring.delivery(1, 1),
        keyring.unsubscribe(1, 1),
        keyring.confirm(1, site.clock()),
    ):
        assert "press the button" in site.sign_up(WAITING, shown=token).text


def test_confirming_takes_a_button_and_a_moment(site: Served) -> None:
    site.sign_up(WAITING)
    path = confirm_path(site, WAITING)
    page = site.get(path)
    assert page.text.count("<button") == 1
    assert status_of(site, WAITING) == "pending"
    hurried = site.client.post(path, data={"shown": site.stamp(age_s=1)})
    assert "press the button once more" in hurried.text
    assert status_of(site, WAITING) == "pending"
    done = site.client.post(path, data={"shown": site.stamp()})
    assert (done.status_code, "You are on the list" in done.text) == (200, True)
    again = site.client.post(path, data={"shown": site.stamp()})
    assert again.text == done.text
    assert [one["action"] for one in dossier.show(site.app, WAITING)["consent"]] == [
        "signed_up",
        "confirmed",
    ]


def test_an_old_confirmation_says_that_it_expired(site: Served) -> None:
    site.sign_up(WAITING)
    path = confirm_path(site, WAITING)
    site.clock.forward(days=7, seconds=2)
    for page in (site.get(path), site.client.post(path, data={"shown": site.stamp()})):
        assert page.status_code == 410
        assert "has expired" in page.text
        assert "Sign up again" in page.text
    assert status_of(site, WAITING) == "pending"


def test_a_confirmation_from_before_they_left_brings_nobody_back(site: Served) -> None:
    site.sign_up(WAITING)
    path = confirm_path(site, WAITING)
    site.client.post(path, data={"shown": site.stamp()})
    site.clock.forward(hours=1)
    site.client.post(leave_path(site, WAITING), data=ONE_CLICK)
    page = site.client.post(path, data={"shown": site.stamp()})
    assert page.status_code == 410
    assert status_of(site, WAITING) == "unsubscribed"


def test_one_click_leaves_at_once(site: Served) -> None:
    answer = site.client.post(leave_path(site), data=ONE_CLICK)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    shown = dossier.show(site.app, "reader1@example.com")
    assert shown["status"] == "unsubscribed"
    assert shown["consent"][-1]["source"] == "mail:one-click"
    assert site.events() == [("unsubscribe", id_of(site, "reader1@example.com"), None)]


def test_one_click_works_as_multipart_too(site: Served) -> None:
    parts = {"List-Unsubscribe": (None, "One-Click")}
    assert site.client.post(leave_path(site), files=parts).status_code == 200
    shown = dossier.show(site.app, "reader1@example.com")
    assert (shown["status"], shown["consent"][-1]["source"]) == ("unsubscribed", "mail:one-click")


def test_leaving_twice_is_leaving_once(site: Served) -> None:
    first = site.client.post(leave_path(site), data=ONE_CLICK)
    before = site.state()
    site.clock.forward(days=400)
    again = site.client.post(leave_path(site), data=ONE_CLICK)
    assert (again.status_code, again.headers["content-type"]) == (
        200,
        first.headers["content-type"],
    )
    assert site.state() == before
    assert len(site.events()) == 1


def test_the_button_on_the_page_leaves_too(site: Served) -> None:
    path = leave_path(site)
    page = site.get(path)
    assert page.text.count("<button") == 1
    assert f'action="{path}"' in page.text
    assert "You are off the list" in site.client.post(path).text
    assert dossier.show(site.app, "reader1@example.com")["consent"][-1]["source"] == "page"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"--y\r\nbroken"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 50),
        ("application/json", b'{"a": '),
        ("application/x-www-form-urlencoded", b"%ff%00=&&&=%%%"),
        ("application/x-www-form-urlencoded", b"a=b&" * 500),
        ("text/plain; charset=nonsense", b"\xff\xfe"),
    ],
)
def test_leaving_does_not_depend_on_what_the_body_says(
    site: Served, kind: str, body: bytes
) -> None:
    answer = site.client.post(leave_path(site), content=body, headers={"content-type": kind})
    assert answer.status_code == 200
    assert status_of(site, "reader1@example.com") == "unsubscribed"


def test_a_mangled_sign_up_is_a_clear_answer(site: Served) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    page = site.client.post("/subscribe", content=b"--y\r\nbroken", headers=kind)
    assert (page.status_code, "<h1>" in page.text) == (400, True)


def test_get_and_head_of_confirm_and_unsubscribe_change_nothing(site: Served) -> None:
    site.sign_up(WAITING)
    before, events = site.state(), site.events()
    for path in (confirm_path(site, WAITING), leave_path(site)):
        assert site.get(path).status_code == 200
        assert site.client.head(path).status_code == 200
        assert site.get(path, params={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert (site.state(), site.events()) == (before, events)


def test_no_token_opens_another_s_door(site: Served) -> None:
    keyring, now = site.app.keyring, site.clock()
    tokens = {
        "confirm": keyring.confirm(1, now),
        "unsubscribe": keyring.unsubscribe(1, 1),
        "delivery": keyring.delivery(1, 1),
        "form": keyring.form(now),
    }
    before = site.state()
    for door in ("confirm", "unsubscribe"):
        for purpose, token in tokens.items():
            if purpose == door:
                continue
            for page in (
                site.get(f"/{door}/{token}"),
                site.client.post(f"/{door}/{token}", data={"shown": site.stamp(), **ONE_CLICK}),
            ):
                assert page.status_code == 400
                assert "This link does not work" in page.text
                assert "the newest mail you have" in page.text
    assert site.state() == before


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_forged_token_never_takes_anyone_off_the_list(site: Served, data: st.DataObject) -> None:
    token = leave_path(site).removeprefix("/unsubscribe/")
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_"))
    forged = token[:place] + other + token[place + 1 :]
    before = site.state()
    for one in (forged, token[:place], token + other):
        if one in (token, ""):
            continue
        assert site.client.post(f"/unsubscribe/{one}", data=ONE_CLICK).status_code == 400
    assert site.state() == before


def test_a_token_of_another_home_is_worth_nothing(site: Served, tmp_path: Path) -> None:
    with served(tmp_path / "elsewhere") as other:
        token = other.app.keyring.unsubscribe(1, 1)
    assert site.client.post(f"/unsubscribe/{token}", data=ONE_CLICK).status_code == 400
    assert status_of(site, "reader1@example.com") == "active"


def test_leaving_an_unknown_list_place_is_still_an_answer(site: Served) -> None:
    token = site.app.keyring.unsubscribe(1, 999_999)
    before = site.state()
    assert site.client.post(f"/unsubscribe/{token}", data=ONE_CLICK).status_code == 200
    assert site.state() == before


def test_a_forwarding_header_does_not_change_who_asked(site: Served) -> None:
    form = {"email": WAITING, "shown": site.stamp()}
    site.client.post("/subscribe", data=form, headers={"X-Forwarded-For": "198.51.100.7"})
    assert dossier.show(site.app, WAITING)["consent"][0]["network"] == "127.0.0.0/24"
