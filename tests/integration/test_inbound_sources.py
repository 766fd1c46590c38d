"""Where mail about our mail is read: nothing is lost, nothing counts twice, no secret is shown."""

from __future__ import annotations

import io
import json
import mailbox
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from imap_server import ImapServer
from inbound_home import SETTINGS, bounce, copied, delivery, reader, sent_home
from smtp_server import CERTIFICATE
from typer.testing import CliRunner

from newsletter.app import App
from newsletter.cli import program
from newsletter.errors import NotFoundError, RefusedError, StoreError
from newsletter.inbound import imap, intake, mime, sources
from newsletter.inbound.intake import Summary

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

LETTER = b"From: ann@example.org\nTo: news@example.com\nSubject: Hello\n\nFrom me to you.\n"
NONE = io.BytesIO()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sent_home(tmp_path_factory.mktemp("sent") / "home")


@pytest.fixture
def app(home: Path, tmp_path: Path) -> App:
    return copied(home, tmp_path / "home")


def read(app: App, source: object) -> Summary:
    return intake.read_all(app, sources.open_source(str(source), NONE))


def maildir(app: App, folder: Path) -> Path:
    box = mailbox.Maildir(folder)
    for raw in (bounce(app, 1), b"\xff\x00 not a mail", bounce(app, 2)):
        box.add(raw)
    return folder


def names(folder: Path, part: str) -> list[str]:
    return sorted(file.name for file in (folder / part).iterdir())


def test_a_maildir_is_read_once_and_its_mails_are_kept_as_seen(app: App, tmp_path: Path) -> None:
    folder = maildir(app, tmp_path / "box")
    first = read(app, folder)
    assert (first.read, first.suppressed, first.known) == (3, 2, 0)
    assert names(folder, "new") == []
    assert all(name.endswith(":2,S") for name in names(folder, "cur"))
    assert len(names(folder, "cur")) == 3
    assert read(app, folder).read == 0


def test_a_mail_that_a_mail_program_looked_at_is_read_unless_it_is_seen(
    app: App, tmp_path: Path
) -> None:
    folder = maildir(app, tmp_path / "box")
    old, other, third = names(folder, "new")
    (folder / "new" / old).rename(folder / "cur" / f"{old}:2,F")
    (folder / "new" / other).rename(folder / "cur" / f"{other}:2,RS")
    assert read(app, folder).read == 2
    assert names(folder, "cur") == sorted((f"{old}:2,FS", f"{other}:2,RS", f"{third}:2,S"))


def test_a_store_that_takes_no_more_leaves_the_rest_unread(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = maildir(app, tmp_path / "box")
    take, taken = intake.take, []

    def full_after_one(app: App, raw: bytes) -> Any:
        if taken:
            raise StoreError("the database refused: database or disk is full")
        taken.append(raw)
        return take(app, raw)

    monkeypatch.setattr(intake, "take", full_after_one)
    with pytest.raises(StoreError):
        read(app, folder)
    assert (len(names(folder, "new")), len(names(folder, "cur"))) == (2, 1)
    monkeypatch.undo()
    assert read(app, folder).read == 2
    assert reader(app, 2)[1] == "hard_bounce"


def test_an_mbox_stays_as_it_is_and_counts_once(app: App, tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = mailbox.mbox(path)
    for raw in (bounce(app, 1), LETTER, bounce(app, 2)):
        box.add(raw)
    box.close()
    whole = path.read_bytes()
    assert (read(app, path).suppressed, read(app, path).known) == (2, 3)
    assert path.read_bytes() == whole


# Holds the file's lock until its input ends.
HOLDER = """
import fcntl, sys
with open(sys.argv[1], "rb+") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_an_mbox_that_is_being_written_to_is_left_for_later(app: App, tmp_path: Path) -> None:
    path = tmp_path / "box"
    path.write_bytes(b"From x\n" + bounce(app, 1))
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RefusedError, match="locked"):
            read(app, path)
        holder.communicate()
    assert read(app, path).suppressed == 1


def test_a_lock_file_beside_an_mbox_is_respected(app: App, tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(b"From x\n" + bounce(app, 1))
    (tmp_path / "box.lock").touch()
    with pytest.raises(RefusedError, match="locked"):
        read(app, tmp_path / "box")


def test_a_mail_that_cannot_be_read_stops_no_other(app: App, tmp_path: Path) -> None:
    folder = maildir(app, tmp_path / "box")
    (folder / "new" / "0.first").symlink_to("/proc/self/mem")
    summary = read(app, folder)
    assert (summary.read, len(summary.troubles)) == (3, 1)


def test_what_is_no_source_is_refused(app: App, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no Maildir"):
        read(app, tmp_path)


def test_an_imap_folder_is_read_and_each_mail_flagged_once_it_is_on_record(app: App) -> None:
    with ImapServer({5: bounce(app, 1), 9: LETTER, 11: bounce(app, 2)}) as server:
        assert read(app, server.url).suppressed == 2
        assert server.seen == {5, 9, 11}
        assert server.folder == '"Bounces"'
        assert read(app, server.url).read == 0


def test_an_imap_server_is_spoken_to_in_private_and_must_be_who_it_says(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ImapServer({5: bounce(app, 1)}, tls=True) as server:
        with pytest.raises(RefusedError, match="SSLCertVerificationError"):
            read(app, server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert read(app, server.url).suppressed == 1


def test_an_imap_server_that_cannot_flag_costs_no_mail_and_counts_none_twice(app: App) -> None:
    with ImapServer({5: bounce(app, 1)}, refuse="STORE") as server:
        (trouble,) = read(app, server.url).troubles
        assert "cret" not in trouble
        server.refuse = ""
        assert read(app, server.url).known == 1
    assert reader(app, 1)[1] == "hard_bounce"


@pytest.mark.parametrize("refuse", ["LOGIN", "SELECT", "SEARCH", "FETCH"])
def test_no_refusal_of_an_imap_server_shows_the_password(app: App, refuse: str) -> None:
    with ImapServer({5: LETTER}, refuse=refuse) as server, pytest.raises(RefusedError) as caught:
        read(app, server.url)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "cret" not in repr(imap.parse_url(server.url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("imap://ann:secret@imap.example.com/INBOX", "in the clear"),
        ("imaps://imap.example.com", "no IMAP address"),
        ("https://ann:secret@imap.example.com", "no IMAP address"),
        ("imaps://ann:secret@imap.example.com:port/", "no IMAP address"),
        ("imaps://ann@imap.example.com", "no password"),
    ],
)
def test_an_imap_address_that_cannot_be_used_is_refused_without_repeating_it(
    url: str, why: str
) -> None:
    with pytest.raises(RefusedError, match=why) as caught:
        imap.parse_url(url)
    assert "secret" not in str(caught.value)


def test_a_password_may_stay_out_of_the_address() -> None:
    account = imap.parse_url("imaps://ann%40example.com@imap.example.com", password="secret")
    assert (account.user, account.password, account.port) == ("ann@example.com", "secret", 993)
    assert (account.folder, account.is_encrypted) == ("INBOX", True)


# The command.


@pytest.fixture
def command(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setenv("NEWSLETTER_HOME", str(app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-24T10:00:00Z")
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"NEWSLETTER_{name.upper()}", value)
    return CliRunner()


def run(command: CliRunner, *arguments: str, given: bytes = b"") -> Any:
    return command.invoke(program, ["bounces", *arguments], input=given)


def test_a_mail_server_pipes_one_mail_in(app: App, command: CliRunner) -> None:
    done = run(command, "read", "-", "--json", given=bounce(app, 1) + b"x" * mime.MAX_OCTETS)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["verdicts"] == {"bounce/hard": 1}
    assert delivery(app, 1)[0] == "bounced"


def test_a_mail_that_cannot_be_taken_in_now_goes_back_to_the_mail_server(
    app: App, command: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise StoreError("the database refused: database is locked")

    raw = bounce(app, 1)
    with monkeypatch.context() as for_now:
        for_now.setattr(intake, "take", locked)
        assert run(command, "read", "-", given=raw).exit_code == 75
    monkeypatch.setenv("NEWSLETTER_HOME", "/proc/nowhere")
    assert run(command, "read", "-", given=raw).exit_code == 75
    assert delivery(app, 1)[0] == "submitted"


def test_a_reading_says_what_it_did_and_what_must_be_mended(
    app: App, command: CliRunner, tmp_path: Path
) -> None:
    blocked = bounce(app, 3, code="5.7.1", said="550 5.7.1 no SPF record")
    box = mailbox.Maildir(tmp_path / "box")
    for raw in (bounce(app, 1), blocked, LETTER):
        box.add(raw)
    said = run(command, "read", str(tmp_path / "box")).stdout
    for line in ("3 mails read, 0 of them known", "1 bounce: hard", "1 suppressed", "(5.7.1)"):
        assert line in said
    listed = json.loads(run(command, "list", "--json").stdout)
    assert {one["verdict"] for one in listed} == {"hard", "sender_fault", "unclassified"}
    (unknown,) = json.loads(run(command, "list", "--unclassified", "--json").stdout)
    assert unknown["kind"] == "unknown"
    number = str(next(one["id"] for one in listed if one["verdict"] == "hard"))
    shown = json.loads(run(command, "show", number, "--json").stdout)
    assert (shown["delivery"], shown["issue"]) == ("bounced", "2026-W48")
    assert "reader1@example.com" in run(command, "show", number).stdout


def test_a_report_that_is_not_there_is_refused(command: CliRunner) -> None:
    done = run(command, "show", "7")
    assert isinstance(done.exception, NotFoundError)
