"""What anybody may read, and what no visit may change."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from publication import open_home, outbox
from served import (
    ISSUE_PATH,
    SEED_SLUG,
    Served,
    copied,
    make_home,
    served,
    stands_in_order,
    visible_text,
)

from newsletter import pipeline
from newsletter.editorial import issues, library
from newsletter.editorial.content_model import Comparison
from newsletter.errors import RefusedError
from newsletter.rendering.slots import PLACEHOLDER
from newsletter.rendering.view import percent
from newsletter.web.guard import MAX_BODY_BYTES

SEED = f"/comparisons/{SEED_SLUG}"
FRAME = (
    ["AI tool comparison"],
    ["Reviewer scorecard"],
    [
        "Weekly AI Tool Verdicts",
        "Get the next comparison in your inbox",
        "New AI tools ship daily. We compare them before you waste an afternoon.",
    ],
)


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def every_comparison(site: Served) -> list[Comparison]:
    with site.app.session(readonly=True) as session:
        return library.listed(session, samples=True)


def lines_of(comparison: Comparison) -> list[str]:
    """A comparison as its page shows it, line by line."""
    head, middle, sign_up = FRAME
    tools = []
    for tool in comparison.tools:
        votes = tool.community
        share = f"{percent(votes.ship, votes.ship + votes.skip)}%" if votes else "—"
        tools += [tool.category, tool.name, tool.tagline, f"{tool.panel}%", "Panel ship"]
        tools += [share, "Community", tool.entry_price, "Entry", tool.description]
    pairs = zip(comparison.tools[0].takes, comparison.tools[1].takes, strict=True)
    quotes = [f"“{take.quote}”" for pair in pairs for take in pair]
    return [*head, comparison.title, comparison.deck, *tools, *middle, *quotes, *sign_up]


def test_every_line_of_a_comparison_stands_on_its_page_in_order(site: Served) -> None:
    found = every_comparison(site)
    assert len(found) >= 5
    for comparison in found:
        page = site.get(f"/comparisons/{comparison.slug}")
        assert page.status_code == 200
        assert stands_in_order(lines_of(comparison), visible_text(page.text)) is None


def test_the_seed_shows_its_figures_and_that_nobody_voted(site: Served) -> None:
    shown = visible_text(site.get(SEED).text)
    lines = ["Claude Haiku Open Weights", "50%", "Panel ship", "—", "Community", "No votes yet"]
    lines += ["Free", "Entry", "Mistral 8B Instruct v3", "100%", "Panel ship", "—", "Community"]
    assert stands_in_order(lines, shown) is None
    assert "`huggingface-cli download mistral-8b-instruct-v3`" in shown
    assert "0%" not in shown.replace("50%", "").replace("100%", "").replace("80%", "")


def test_a_sample_says_so_at_the_top_and_is_listed_apart(site: Served) -> None:
    for comparison in every_comparison(site):
        shown = visible_text(site.get(f"/comparisons/{comparison.slug}").text)
        before_the_title = shown[: shown.index(comparison.title)]
        assert ("Sample, invented" in before_the_title) is comparison.sample
    listed = site.get("/comparisons").text
    real, samples = listed.split('id="samples"')
    assert SEED_SLUG in real
    assert all(one.slug in samples for one in every_comparison(site) if one.sample)
    assert "shipcheck" not in site.get("/").text


def test_the_front_page_says_what_won_and_takes_an_address(site: Served) -> None:
    page = site.get("/")
    wanted = ["Get the next comparison in your inbox"]
    wanted += ["Ship Mistral 8B Instruct v3 over Claude Haiku Open Weights", "100%", "50%"]
    assert stands_in_order(wanted, visible_text(page.text)) is None
    assert 'action="/subscribe"' in page.text


def test_an_empty_store_has_pages_that_say_so(tmp_path: Path) -> None:
    with served(tmp_path / "home") as site:
        for path in ("/", "/comparisons", "/issues", "/studio"):
            assert site.get(path).status_code == 200
        assert "None yet" in site.get("/").text


def test_a_draft_has_no_page(site: Served) -> None:
    row = "UPDATE comparison_revision SET body = replace(body, '\"finished\"', '\"draft\"')"
    with site.app.engine.begin() as connection:
        connection.exec_driver_sql(row)
    assert site.get(SEED).status_code == 404


def test_the_archive_is_the_mail_that_was_sent_but_for_the_slots(site: Served) -> None:
    raw = outbox(site.app)[0].read_bytes()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    body = mail.get_body(("html",))
    assert body is not None
    page = site.get(ISSUE_PATH)
    assert page.status_code == 200
    sent, shown = (_without_slots(part) for part in (body.get_content(), page.text))
    assert shown.strip() == sent.strip()
    with site.app.session(readonly=True) as session:
        details = issues.find(session, "latest")
        stored = issues.rendered(session, details.id)
    assert page.headers["x-issue-sha256"] == details.sha256 == stored.sha256
    assert not PLACEHOLDER.search(page.text)


def _without_slots(html: str) -> str:
    html = re.sub(r"/(c|o|unsubscribe|preferences|vote)/[\w-]{20,}", r"/\1/TOKEN", html)
    return re.sub(r"Hello[^,]*,", "Hello,", html).replace("\r\n", "\n")


def test_the_archive_stands_for_nobody(site: Served) -> None:
    page = site.get(ISSUE_PATH).text
    before, events = site.state(), site.events()
    (leave,) = set(re.findall(r"/unsubscribe/[\w-]+", page))
    (pixel,) = set(re.findall(r"/o/[\w-]+\.gif", page))
    click = re.findall(r"/c/[\w-]+/\d+", page)[0]
    assert "public copy of an issue" in site.get(leave).text
    assert site.client.post(leave).status_code == 400
    assert site.get(pixel).status_code == 200
    assert site.get(click).status_code == 302
    assert (site.state(), site.events()) == (before, events)


def test_an_issue_is_public_only_once_it_is_frozen(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    app = open_home(home)
    pipeline.plan(app)
    with served(home) as site:
        assert site.get(ISSUE_PATH).status_code == 404
        assert "None has gone out yet" in site.get("/issues").text
        pipeline.approve(app, "latest", by="the editor")
        pipeline.send(app, "latest")
        assert site.get(ISSUE_PATH).status_code == 200
        assert f'href="{ISSUE_PATH}"' in site.get("/issues").text


@pytest.mark.parametrize("week", ["2026-W48", "2026w48", "latest", "1", "2026-w99", "9999-w53"])
def test_an_issue_has_one_address(site: Served, week: str) -> None:
    assert site.get(f"/issues/{week}").status_code == 404


def paths(site: Served) -> list[str]:
    """Every GET route, with good values for its parameters and with bad ones."""
    api = site.client.app
    assert isinstance(api, FastAPI)
    keyring = site.app.keyring
    delivery, leave = keyring.delivery(1, 1), keyring.unsubscribe(1, 1)
    confirm = keyring.confirm(1, site.clock())
    vote = f"/vote/{keyring.vote(1, 1)}{SEED.removeprefix('/comparisons')}"
    good = {
        "/comparisons/{slug}": [SEED],
        "/issues/{week}": [ISSUE_PATH],
        "/static/{name}": ["/static/site.css", "/static/icon.svg"],
        "/confirm/{token}": [f"/confirm/{confirm}"],
        "/unsubscribe/{token}": [f"/unsubscribe/{leave}"],
        "/o/{token}.gif": [f"/o/{delivery}.gif"],
        "/c/{token}/{n}": [f"/c/{delivery}/1", f"/c/{delivery}/2"],
        "/vote/{token}/{comparison}/{tool}/{verdict}": [f"{vote}/mistral-8b-instruct-v3/ship"],
        "/studio/issues/{week}": ["/studio/issues/2026-w48"],
        "/studio/issues/{week}/mail": ["/studio/issues/2026-w48/mail"],
    }
    found = []
    for route in _routes(api):
        if "GET" in route.methods:
            assert "HEAD" in route.methods, route.path
            found += good.get(route.path, [re.sub(r"\{\w+\}", "nonsense", route.path)])
            found.append(re.sub(r"\{\w+\}", "nonsense", route.path))
    return sorted(set(found))


def _routes(api: FastAPI) -> list[APIRoute]:
    found, queue = [], list(api.routes)
    while queue:
        route = queue.pop()
        if isinstance(route, APIRoute):
            found.append(route)
        queue += getattr(getattr(route, "original_router", None), "routes", [])
    assert len(found) > 10
    return found


def test_head_answers_as_get_does_without_a_body(site: Served) -> None:
    for path in paths(site):
        shown, headed = site.get(path), site.client.head(path)
        assert headed.status_code == shown.status_code, path
        assert headed.headers.get("content-type") == shown.headers.get("content-type"), path
        assert headed.content == b"", path


def test_get_and_head_on_every_route_change_no_one(site: Served) -> None:
    before = site.state()
    for path in paths(site):
        site.get(path)
        site.client.head(path)
    assert site.state() == before


def test_every_answer_carries_the_security_headers(site: Served) -> None:
    for path in [*paths(site), "/nothing/here"]:
        headers = site.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors" in policy, path
        assert "script-src" not in policy, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers


def test_no_page_needs_a_script_or_anything_from_elsewhere(site: Served) -> None:
    ours = ("/", "#", site.app.publication.url)
    for path in paths(site):
        page = site.get(path)
        kind = page.headers.get("content-type", "")
        if "html" not in kind or path == ISSUE_PATH or "/mail" in path:
            continue
        assert "<script" not in page.text, path
        assert " style=" not in page.text, path
        for target in re.findall(r'(?:href|src|action)="([^"]*)"', page.text):
            assert target.startswith((*ours, "?scheme")), (path, target)


def test_the_style_is_not_sent_twice(site: Served) -> None:
    first = site.get("/static/site.css")
    again = site.get("/static/site.css", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404),
        ("GET", "/comparisons/no-such-thing", 404),
        ("GET", "/comparisons/", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/static/base.html", 404),
        ("GET", "/static/..%2F..%2Fpyproject.toml", 404),
        ("DELETE", "/", 405),
        ("GET", "/subscribe", 405),
        ("POST", "/comparisons", 405),
        ("GET", "/studio/issues/2026-w48?scheme=pink", 422),
    ],
)
def test_a_request_that_leads_nowhere_gets_a_clear_page(
    site: Served, method: str, path: str, status: int
) -> None:
    page = site.client.request(method, path)
    assert page.status_code == status
    assert "<h1>" in page.text
    assert "Front page" in page.text
    assert "Traceback" not in page.text


def test_a_wrong_method_is_told_the_right_ones(site: Served) -> None:
    assert site.get("/subscribe").headers["allow"] == "POST"


def test_too_long_a_body_is_refused_whether_its_length_is_stated_or_not(site: Served) -> None:
    body = b"email=" + b"a" * MAX_BODY_BYTES
    form = {"content-type": "application/x-www-form-urlencoded"}
    before = site.state()
    assert site.client.post("/subscribe", content=body, headers=form).status_code == 413
    chunks = site.client.post("/subscribe", content=iter([body[:70_000], b"&x=y"]), headers=form)
    assert chunks.status_code == 413
    assert "64 KB" in chunks.text
    assert site.state() == before


def test_a_fault_of_our_own_is_one_page_without_a_word_of_the_inside(
    site: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("reader@example.com is a secret")

    monkeypatch.setattr(library, "listed", fails)
    page = site.get("/")
    assert page.status_code == 500
    assert "Something broke on our side" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    logged = capsys.readouterr()
    assert "RuntimeError" in logged.out + logged.err
    assert "secret" not in page.text + logged.out + logged.err


def test_a_refusal_is_a_conflict(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise RefusedError("internal words", hint="an operator's hint")

    monkeypatch.setattr(library, "listed", refuses)
    page = site.get("/")
    assert (page.status_code, "internal words" in page.text) == (409, False)


def test_a_broken_template_still_answers_in_words(sent_home: Path, tmp_path: Path) -> None:
    own = tmp_path / "templates" / "web"
    own.mkdir(parents=True)
    (own / "base.html").write_text("{% nonsense")
    with served(copied(sent_home, tmp_path), templates_dir=tmp_path / "templates") as site:
        page = site.get("/")
        assert page.status_code == 500
        assert page.text.startswith("Something broke on our side.")


def test_a_publication_s_own_template_comes_first(sent_home: Path, tmp_path: Path) -> None:
    own = tmp_path / "templates" / "web"
    own.mkdir(parents=True)
    (own / "check_inbox.html").write_text("Our own words.")
    with served(copied(sent_home, tmp_path), templates_dir=tmp_path / "templates") as site:
        assert site.sign_up("new@example.com").text == "Our own words."
        assert site.get("/").status_code == 200


def test_a_dead_database_is_a_503_that_says_so(site: Served) -> None:
    site.break_the_database()
    for path in ("/", "/comparisons", SEED, "/issues", ISSUE_PATH, "/studio"):
        page = site.get(path)
        assert page.status_code == 503, path
        assert page.headers["retry-after"]
        assert "We cannot reach our records" in page.text
        assert "sqlite" not in page.text.lower()
    assert site.sign_up("new@example.com").status_code == 503
    ready = site.get("/readyz")
    assert (ready.status_code, site.get("/healthz").status_code) == (503, 200)
    assert ready.text.startswith("not ready: the database cannot be used")


def test_ready_means_the_schema_is_this_version_s(site: Served) -> None:
    assert site.get("/readyz").text == "ready\n"
    with site.app.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    assert site.get("/readyz").status_code == 503


def test_a_site_under_a_path_links_within_it(sent_home: Path, tmp_path: Path) -> None:
    home = copied(sent_home, tmp_path)
    with served(home, public_url="https://example.com/news") as site:
        page = site.get("/").text
        assert 'action="/news/subscribe"' in page
        assert 'href="/news/comparisons"' in page
