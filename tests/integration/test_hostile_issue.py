"""Hostile words on the way through a whole publication: refused with the reason, or harmless."""

from __future__ import annotations

import email
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from html import escape
from pathlib import Path

import pytest
from publication import MONDAY, SLOT, WEEK, at, finished, open_home, outbox, readers, store
from sqlmodel import select

from newsletter import desk, dossier, pipeline, renders
from newsletter import readers as people
from newsletter.app import App
from newsletter.editorial import approvals, issues
from newsletter.editorial.planning import Changes
from newsletter.errors import (
    ApprovalError,
    RefusedError,
    SettingsError,
    TemplateError,
)
from newsletter.letters import drain_system_mail
from newsletter.store.models import SystemMail
from newsletter.store.states import IssueState, SystemMailState
from newsletter.tick import tick
from subscribers import consent
from subscribers.address import EmailAddress
from subscribers.errors import AddressError
from subscribers.models import Subscriber, SubscriberStatus

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

DAY = timedelta(days=1)
HOSTILE = (
    "<script>alert(1)</script>",
    "</mj-text><mj-raw><b>",
    "<!-- ]]> -->",
    "javascript:alert(1)",
    "mailto:?bcc=x@example.com",
    "C:\\new\\table \\u{1F600}",
    "joined \N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL} emoji",
    "combining e\N{COMBINING ACUTE ACCENT} accents",
    "no-break\N{NO-BREAK SPACE}space",
    "\"double\" and 'single' & both",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} from right to left",
    "w" * 300,
)
REFUSED = (
    "=?utf-8?q?a=0ABcc=3A_x?=",
    "nul \x00 byte",
    "over\N{RIGHT-TO-LEFT OVERRIDE}ridden",
    "zqHname7zq",
    "zqTdelivery7zq",
    "{{ 7 * 7 }}",
    "{% include 'x' %}",
    "line\N{LINE SEPARATOR}separator",
)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_home(tmp_path / "home")


def _planned(app: App) -> App:
    store(at(app, MONDAY - DAY), finished("Left vs Right"))
    readers(app, 1)
    pipeline.plan(app)
    return app


def _sent(app: App) -> EmailMessage:
    pipeline.send(app, WEEK)
    (path,) = outbox(app)
    return _parsed(path.read_bytes())


def _parsed(raw: bytes) -> EmailMessage:
    strict = policy.default.clone(raise_on_defect=True)
    message = email.message_from_bytes(raw, policy=strict)
    assert isinstance(message, EmailMessage)
    return message


@pytest.fixture(scope="module")
def desk_app(tmp_path_factory: pytest.TempPathFactory) -> App:
    """One publication with a planned issue, for tests that edit it and send nothing."""
    return _planned(open_home(tmp_path_factory.mktemp("desk") / "home"))


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_of_an_editor_reach_the_reader_to_the_letter(
    desk_app: App, words: str
) -> None:
    pipeline.edit(desk_app, WEEK, Changes(subject=words, preheader=words, intro=words))
    pipeline.approve(desk_app, WEEK, by="ed")
    with desk_app.session(readonly=True) as session:
        issue = issues.find(session, WEEK)
        stored = issues.rendered(session, issue.id)
    message = _parsed(renders.sample_message(desk_app, issue, stored))
    assert message["Subject"] == words
    assert not message["Bcc"]
    text, html = (part.get_content() for part in message.iter_parts())
    assert "".join(words.split()) in "".join(text.split())
    assert escape(words, quote=False) in html
    assert "<script" not in html


@pytest.mark.parametrize("words", REFUSED)
@pytest.mark.parametrize("field", ["subject", "preheader", "intro"])
def test_words_that_would_do_harm_are_never_approved(desk_app: App, field: str, words: str) -> None:
    others = {"subject": "One", "preheader": "Two", "intro": "Three"}
    pipeline.edit(desk_app, WEEK, Changes(**{**others, field: f"Say {words}."}))
    if words.startswith("=?") and field != "subject":
        # Only a header reads an encoded word: elsewhere it is signs among others.
        pipeline.approve(desk_app, WEEK, by="ed")
        return
    with pytest.raises(ApprovalError, match="error finding"):
        pipeline.approve(desk_app, WEEK, by="ed")


@pytest.mark.parametrize("field", ["subject", "preheader"])
def test_a_line_break_in_a_subject_is_a_blank(app: App, field: str) -> None:
    _planned(app)
    edited = pipeline.edit(app, WEEK, Changes(**{field: "one\r\n  Bcc: x@example.com\n"}))
    assert getattr(edited, field) == "one Bcc: x@example.com"
    pipeline.approve(app, WEEK, by="ed")
    assert not _sent(app)["Bcc"]


def test_what_cannot_be_a_message_is_refused_before_anybody_is_frozen(app: App) -> None:
    """The settings were changed by hand to what no header can hold, after the approval."""
    _planned(app)
    broken = replace(app, publication=replace(app.publication, sender="nobody"))
    with pytest.raises(RefusedError, match="'nobody' is not an address"):
        pipeline.approve(broken, WEEK, by="ed")
    pipeline.approve(app, WEEK, by="ed")
    with pytest.raises(RefusedError, match="'nobody' is not an address"):
        pipeline.send(broken, WEEK)
    with app.session(readonly=True) as session:
        assert issues.find(session, WEEK).state is IssueState.APPROVED
    assert pipeline.send(app, WEEK).proof.complete


@pytest.mark.parametrize(
    "name",
    [
        "Ships, Skips & Co.",
        'The "Weekly" <b>',
        "back\\slash",
        "W\N{LATIN SMALL LETTER O WITH DIAERESIS}chentlich",
        "A@B: C;",
        "joined \N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}",
    ],
)
def test_any_name_of_a_publication_can_stand_in_its_mail(tmp_path: Path, name: str) -> None:
    app = _planned(open_home(tmp_path / "home", name=name))
    pipeline.approve(app, WEEK, by="ed")
    message = _sent(app)
    assert message["From"].addresses[0].display_name == name
    text, html = (part.get_content() for part in message.iter_parts())
    assert "".join(name.split()) in "".join(text.split())
    assert escape(name, quote=False) in html


@pytest.mark.parametrize(
    "address",
    ["1 <b>Street</b>, {x}", "C:\\new\\table", '"Quoted" & Sons', "12 \N{ARABIC LETTER ALEF}"],
)
def test_a_postal_address_is_text(tmp_path: Path, address: str) -> None:
    app = _planned(open_home(tmp_path / "home", postal_address=address))
    pipeline.approve(app, WEEK, by="ed")
    text, html = (part.get_content() for part in _sent(app).iter_parts())
    assert address in " ".join(text.split())
    assert "<b>Street" not in html


@pytest.mark.parametrize(
    "setting",
    [
        {"name": "a\r\nBcc: x"},
        {"name": "=?utf-8?q?x?="},
        {"name": "over\N{RIGHT-TO-LEFT OVERRIDE}ridden"},
        {"name": "line\N{LINE SEPARATOR}separator"},
        {"postal_address": "a\nb"},
        {"postal_address": "delete \x7f"},
        {"postal_address": "x" * 301},
        {"from_": "news@ex\N{LATIN SMALL LETTER A WITH DIAERESIS}mple.com"},
        {"reply_to": "Bye, Inc <bye@example.com>"},
        {"unsubscribe_mailto": "a@b\r\nBcc: x"},
        {"list_id": "<x>"},
        {"public_url": "javascript:alert(1)"},
        {"public_url": "https://example.com/?a=b"},
        {"public_url": 'https://example.com/"><script>'},
    ],
)
def test_a_hostile_setting_is_refused_with_its_name(
    tmp_path: Path, setting: dict[str, str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        open_home(tmp_path / "home", **setting)
    assert next(iter(setting)).rstrip("_") in caught.value.what
    assert not (tmp_path / "home").exists()


def test_a_way_out_by_mail_with_a_name_is_a_plain_mailto(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home", unsubscribe_mailto="Bye <bye&cc=x@example.com>")
    _planned(app)
    pipeline.approve(app, WEEK, by="ed")
    ways = _sent(app)["List-Unsubscribe"]
    token = ways.partition(">")[0].rpartition("/")[2]
    way = f", <mailto:bye%26cc%3Dx@example.com?subject=unsubscribe%20{token}>"
    assert ways.endswith(way)


@pytest.mark.parametrize(
    "name", ["<b>Ann</b>", "a\x00b\r\nBcc: x", "{{ 7 }}", "zqTdelivery7zq", "\\"]
)
def test_a_readers_name_is_text_in_their_mail(app: App, name: str) -> None:
    store(at(app, MONDAY - DAY), finished("Left vs Right"))
    desk.add(app, "ann@example.com", name, consent_text="on paper", given_on="2026-01-15", by="us")
    pipeline.plan(app)
    pipeline.approve(app, WEEK, by="ed")
    message = _sent(app)
    assert [address.addr_spec for address in message["To"].addresses] == ["ann@example.com"]
    assert not message["Bcc"]
    kept = dossier.show(app, "ann@example.com")["name"]
    text, html = (part.get_content() for part in message.iter_parts())
    assert f"Hello {kept}," in text
    assert "<b>Ann" not in html


def test_a_readers_name_that_could_hide_a_header_is_refused(app: App) -> None:
    with pytest.raises(AddressError, match="must not contain"):
        desk.add(
            app, "a@example.com", "=?utf-8?q?x?=", consent_text="x", given_on="2026-01-15", by="us"
        )


def test_an_editor_with_a_name_gets_their_mail(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home", editors="Ann Editor <ann@example.com>, bo@example.com")
    store(at(app, MONDAY - DAY), finished("Left vs Right"))
    assert "system mails submitted: 2" in tick(app)
    assert len(outbox(app, "system")) == 2


def test_one_address_that_cannot_be_used_keeps_no_other_mail_back(app: App) -> None:
    """A row from elsewhere, or an address a newer rule refuses, must not stop the queue."""
    with app.session() as session:
        for once, address in (("a", "no address"), ("b", "ann@example.com")):
            session.add(_mail(app, once, address))
    drained = drain_system_mail(app)
    assert (drained.submitted, drained.failed) == (1, 1)
    assert "no address" not in " ".join(mail.reason for mail in _mails(app))


def test_a_mail_lost_with_its_process_to_somebody_erased_since_is_settled(app: App) -> None:
    with app.session() as session:
        consent.add(
            session,
            EmailAddress.parse("gone@example.com"),
            "",
            consent="x",
            given_on="2026-01-15",
            source="test",
            now=app.clock(),
        )
        gone = session.exec(select(Subscriber)).one()
        gone.status = SubscriberStatus.ERASED
        lost = _mail(app, "lost", "")
        lost.subscriber_id, lost.state, lost.claimed_at = (
            gone.id,
            SystemMailState.ATTEMPTING,
            app.clock() - DAY,
        )
        session.add(lost)
        session.add(_mail(app, "next", "ann@example.com"))
    assert drain_system_mail(app).submitted == 1
    assert [mail.state for mail in _mails(app)] == ["uncertain", "submitted"]


def test_a_broken_template_of_one_mail_keeps_no_issue_back(tmp_path: Path) -> None:
    """Editors' mails are broken: the issue still goes out at its slot, and the fault is told."""
    folder = tmp_path / "templates"
    (folder / "email" / "approval_overdue").mkdir(parents=True)
    (folder / "email" / "approval_overdue" / "body.mjml").write_text("{{ nothing }}")
    app = open_home(tmp_path / "home", templates_dir=folder, editors="ed@example.com")
    store(at(app, MONDAY - DAY), finished("Left vs Right"))
    readers(app, 1)
    tick(app)
    due = at(app, SLOT)
    with pytest.raises(TemplateError, match="approval_overdue"):
        tick(due)
    pipeline.approve(due, WEEK, by="ed")
    with pytest.raises(TemplateError, match="approval_overdue"):
        tick(due)
    assert len(outbox(app)) == 1


def test_a_weekly_template_that_breaks_keeps_no_confirmation_back(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    (folder / "email" / "weekly").mkdir(parents=True)
    (folder / "email" / "weekly" / "body.mjml").write_text("{{ nothing }}")
    app = open_home(tmp_path / "home", templates_dir=folder)
    store(at(app, MONDAY - DAY), finished("Left vs Right"))
    people.sign_up(app, "ann@example.com", source="form", network="192.0.2.0/24")
    with pytest.raises(TemplateError, match="weekly"):
        tick(app)
    assert [path.name.partition(".")[0] for path in outbox(app, "system")] == ["confirm"]


def test_an_approval_is_of_the_bytes_that_were_rendered_for_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another editor changes the issue between the look and the approval."""
    _planned(app)
    grant = approvals.grant

    def late(*args: object, **kwargs: object) -> None:
        grant(*args, **{**kwargs, "sha256": "0" * 64})  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(approvals, "grant", late)
    with pytest.raises(ApprovalError, match="changed while"):
        pipeline.approve(app, WEEK, by="ed")


def _mail(app: App, once: str, address: str) -> SystemMail:
    facts = {"week": WEEK, "slot": "Tuesday"}
    return SystemMail(
        kind="thin_week",
        once=once,
        address=address,
        facts=facts,
        state=SystemMailState.PLANNED,
        created_at=app.clock(),
    )


def _mails(app: App) -> list[SystemMail]:
    with app.session(readonly=True) as session:
        return list(session.exec(select(SystemMail).order_by(SystemMail.id)))


@pytest.mark.parametrize("field", ["subject", "preheader", "intro"])
def test_endless_words_are_refused_and_change_nothing(app: App, field: str) -> None:
    planned = _planned(app)
    with pytest.raises(RefusedError, match="has 60,000 characters"):
        pipeline.edit(planned, WEEK, Changes(**{field: "<b>" * 20_000}))
    with app.session(readonly=True) as session:
        assert "<b>" not in getattr(issues.find(session, WEEK), field)


BEYOND_ASCII = "zo\N{LATIN SMALL LETTER E WITH DIAERESIS}@example.com"


def test_an_address_beyond_ascii_keeps_no_other_reader_back(app: App) -> None:
    """No server we know of is asked for SMTPUTF8: that one delivery fails, and says why."""
    store(at(app, MONDAY - DAY), finished("Left vs Right"))
    for address in ("ann@example.com", BEYOND_ASCII, "bo@example.com"):
        desk.add(app, address, "", consent_text="on paper", given_on="2026-01-15", by="us")
    pipeline.plan(app)
    pipeline.approve(app, WEEK, by="ed")
    account = pipeline.send(app, WEEK).proof
    assert account.complete
    assert account.states["submitted"] == 2
    (delivery,) = dossier.show(app, BEYOND_ASCII)["deliveries"]
    assert delivery["state"] in ("failed", "excluded")
    assert "SMTPUTF8" in delivery["reason"]


def test_a_sign_up_beyond_ascii_keeps_no_confirmation_back(app: App) -> None:
    """Anybody may type anything into the form: the others' mails go out all the same."""
    for address in ("ann@example.com", BEYOND_ASCII, "bo@example.com"):
        with suppress(AddressError):
            people.sign_up(app, address, source="form", network="192.0.2.0/24")
    assert drain_system_mail(app).submitted == 2
    with app.session() as session:
        session.add(_mail(app, "later", BEYOND_ASCII))
    drained = drain_system_mail(app)
    assert (drained.submitted, drained.failed) == (0, 1)


def test_a_form_that_mail_cannot_answer_says_so(app: App) -> None:
    with pytest.raises(AddressError, match="SMTPUTF8"):
        people.sign_up(app, BEYOND_ASCII, source="form", network="192.0.2.0/24")
