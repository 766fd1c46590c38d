"""Signing up as JSON from a page of another site, and the form such a page can hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import Served, served, visible_text
from sign_up_door import API, EASY, by_api, mails

from newsletter import dossier, readers
from newsletter.web.guard import PAGE_POLICY

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

BLOG = "https://blog.example.com"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "home", form_origins=(BLOG,)) as one:
        yield one


def post(site: Served, **sent: Any) -> Any:
    return site.client.post(API, json=sent)


def test_who_begins_by_asking_and_waits_is_signed_up(site: Served) -> None:
    begun = site.get(API).json()
    site.clock.forward(seconds=begun["wait_s"])
    answer = post(site, email="r@example.com", shown=begun["shown"])
    assert (answer.status_code, answer.json()) == (202, {"status": "check_inbox"})
    shown = dossier.show(site.app, "r@example.com")
    assert (shown["status"], shown["consent"][0]["source"]) == ("pending", "api")
    assert shown["consent"][0]["wording"] == begun["wording"]
    assert begun["altcha"] is None


@pytest.mark.parametrize("email", ["", "no address", "a@b", None, 5, ["r@example.com"], {}])
def test_what_is_no_address_is_said_to_be_none(site: Served, email: Any) -> None:
    answer = post(site, email=email, shown=site.stamp())
    assert answer.status_code == 422
    assert "name@example.com" in answer.json()["hint"]
    assert mails(site) == 0


@pytest.mark.parametrize(
    "changed", [{"website": "https://example.com"}, {"shown": ""}, {"shown": "x"}, {"shown": 5}]
)
def test_what_no_person_sent_is_asked_for_again(site: Served, changed: dict[str, Any]) -> None:
    before = site.state()
    answer = post(site, **{"email": "r@example.com", "shown": site.stamp(), **changed})
    assert (answer.status_code, answer.json()) == (202, {"status": "again"})
    assert site.state() == before


def test_two_seconds_have_to_pass_here_too(site: Served) -> None:
    hurried = post(site, email="r@example.com", shown=site.stamp(age_s=1.999))
    assert hurried.json() == {"status": "again"}
    assert mails(site) == 0


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b'{"email": "r@example.com"}', 415),
        ("", b'{"email": "r@example.com"}', 415),
        ("application/x-www-form-urlencoded", b"email=r@example.com", 415),
        ("application/json", b"", 400),
        ("application/json", b'{"email": ', 400),
        ("application/json", b"[" * 5_000, 400),
        ("application/json", b'["r@example.com"]', 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b'{"email": "' + b"x" * 70_000 + b'"}', 413),
        ("application/json", b'{"email": "\\ud800@example.com", "shown": "\\ud800"}', 202),
        ("Application/JSON; charset=utf-8", b'{"email": ""}', 202),
    ],
)
def test_a_mangled_request_is_a_clear_answer(
    site: Served, kind: str, body: bytes, status: int
) -> None:
    answer = site.client.post(API, content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert mails(site) == 0


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(st.sampled_from(["email", "shown", "website", "altcha"]), st.text() | st.none())
)
def test_no_json_of_a_stranger_breaks_it_or_gets_in(site: Served, sent: dict[str, Any]) -> None:
    body = json.dumps(sent).encode()
    answer = site.client.post(API, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (202, 422)
    assert mails(site) == 0


def test_a_page_of_a_named_origin_may_read_the_answers(site: Served) -> None:
    asked = {"Origin": BLOG, "Access-Control-Request-Method": "POST"}
    before = site.client.options(API, headers=asked)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == BLOG
    assert before.headers["access-control-allow-headers"] == "content-type"
    for answer in (
        site.get(API, headers={"Origin": BLOG}),
        site.client.post(API, json={"email": ""}, headers={"Origin": BLOG}),
        site.client.post(API, json={"email": "", "shown": site.stamp()}, headers={"Origin": BLOG}),
    ):
        assert answer.headers["access-control-allow-origin"] == BLOG
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://example.net", "null", "https://blog.example.com.evil.example", ""]
)
def test_a_page_of_any_other_origin_may_not(site: Served, origin: str) -> None:
    for answer in (site.client.options(API, headers={"Origin": origin}), site.get(API)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_the_setting_no_other_site_may(tmp_path: Path) -> None:
    with served(tmp_path / "home") as site:
        answer = site.get(API, headers={"Origin": BLOG})
        assert "access-control-allow-origin" not in answer.headers


def test_a_broken_database_is_said_as_json(site: Served) -> None:
    site.break_the_database()
    answer = by_api(site, "r@example.com")
    assert answer.status_code == 503
    assert "few minutes" in answer.json()["hint"]


def test_the_script_is_one_file_that_any_page_may_load_and_caches_may_keep(site: Served) -> None:
    answer = site.get("/embed/sign-up.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age" in answer.headers["cache-control"]
    again = site.get("/embed/sign-up.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert json.dumps(readers.FORM_WORDING) in answer.text


def test_a_plain_form_elsewhere_leads_to_our_own_with_the_address_filled_in(site: Served) -> None:
    page = site.client.post(
        "/subscribe", data={"email": "r@example.com"}, headers={"Origin": "https://any.example"}
    )
    assert page.status_code == 200
    assert 'value="r@example.com"' in page.text
    assert "press the button once more" in visible_text(page.text)
    assert "faster than a person" not in page.text
    fresh = page.text.partition('name="shown" value="')[2].partition('"')[0]
    site.clock.forward(seconds=3)
    done = site.client.post("/subscribe", data={"email": "r@example.com", "shown": fresh})
    assert "Check your inbox" in done.text
    assert mails(site) == 1


def test_pages_run_no_script_unless_a_proof_of_work_is_asked_for(
    site: Served, tmp_path: Path
) -> None:
    page = site.get("/")
    assert page.headers["content-security-policy"] == PAGE_POLICY
    assert "<script" not in page.text
    with served(tmp_path / "proving", proof_of_work=EASY) as proving:
        page = proving.get("/")
        policy = page.headers["content-security-policy"]
        assert policy == f"{PAGE_POLICY}; script-src 'self'; connect-src 'self'"
        assert page.text.count("<script") == 1
        assert 'src="/embed/sign-up.js"' in page.text
