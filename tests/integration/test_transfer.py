"""Lists in and out: odd files, rows that are kept or rejected, and the way back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlmodel import Session, select

from newsletter.store.engine import session_on
from subscribers import consent, decoding, exports, spreadsheet, suppression, transfer
from subscribers.address import EmailAddress, clean_name
from subscribers.errors import AddressError, ImportRefusedError
from subscribers.models import ConsentAction, ConsentRecord, Subscriber, SuppressionReason
from subscribers.transfer import ImportReport, Stated, judged, take_in

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
NO_SIGN = "this address cannot be used: An email address must have an @-sign"
STATED: dict[str, Any] = {
    "source": "import:list.csv",
    "consent": "ticked the box at our stand",
    "given_on": "2026-11-20",
    "now": NOW,
}


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def load(session: Session, data: bytes | str, **changes: Any) -> ImportReport:
    raw = data.encode() if isinstance(data, str) else data
    report = transfer.import_csv(session, raw, **{**STATED, **changes})
    assert report.accounted
    return report


def with_errors(session: Session, data: str) -> tuple[ImportReport, str]:
    """An import and the lines of its errors file."""
    stated = Stated(STATED["source"], STATED["consent"], STATED["given_on"])
    with judged(io.BytesIO(data.encode()), stated, now=NOW) as read:
        return take_in(session, read, now=NOW), "".join(read.errors())


def people(session: Session) -> list[tuple[str, str, str]]:
    return [
        (one.address, one.name, one.status)
        for one in session.exec(select(Subscriber).order_by("id")).all()
    ]


def test_imported_people_are_active_with_a_consent_record(session: Session) -> None:
    report = load(session, "email,name\nAnn@Example.com,Ann  Smith\nbob@example.com,\n")
    assert (report.rows, report.added, report.rejected) == (2, 2, 0)
    assert people(session) == [
        ("Ann@Example.com", "Ann Smith", "active"),
        ("bob@example.com", "", "active"),
    ]
    for record in session.exec(select(ConsentRecord)).all():
        assert (record.action, record.at) == (ConsentAction.IMPORTED, NOW)
        assert (record.source, record.wording, record.given_on) == (
            "import:list.csv",
            "ticked the box at our stand",
            "2026-11-20",
        )
    assert len(session.exec(select(ConsentRecord)).all()) == 2


@pytest.mark.parametrize(
    "data",
    [
        "email,name\nann@example.com,Jörg\n".encode(),
        "email,name\nann@example.com,Jörg\n".encode("utf-8-sig"),
        "email,name\nann@example.com,Jörg\n".encode("utf-16"),
        "email,name\nann@example.com,Jörg\n".encode("utf-16-be"),
        "email,name\nann@example.com,Jörg\n".encode("utf-16-le"),
        "email,name\nann@example.com,Jörg\n".encode("utf-32"),
        "email;name\r\nann@example.com;Jörg\r\n".encode("cp1252"),
        "sep=;\r\nemail;name\r\nann@example.com;Jörg".encode(),
        "Name\tE-Mail 2\tEMAIL\nJörg\t\tann@example.com".encode(),
        '\n\n"email", "name"\n"ann@example.com", "Jörg"\n,\n'.encode(),
        "email,name,,\rann@example.com,Jörg,,\r,,,\r".encode(),
    ],
)
def test_a_list_is_read_however_a_spreadsheet_wrote_it(session: Session, data: bytes) -> None:
    load(session, data)
    assert people(session) == [("ann@example.com", "Jörg", "active")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b" \r\n\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"sep=;\n", "no column"),
        (b";;;\n,,\n", "no column"),
        (b"name\nann@example.com\n", "no column"),
        (b"ann@example.com,Ann\n", "no column"),
        (b"email,email\na@example.com,b@example.com\n", "two columns"),
        (b'email,name\nann@example.com,"Ann\nbob@example.com,Bob\n', "line 2"),
        (b'email,name\n"ann@example.com', "line 2"),
        (b'email,name\nann@example.com,"A\nb@example.com,"B"\n', "line 2"),
        (b'email,name\nann@example.com,"' + b"x\n" * 99_999, "line 2"),
        (b"\xff\xfeemail\n\xd8", "damaged"),
        (b"email\n\x81\x8d@example.com\n", "neither"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "no column"),
    ],
)
def test_a_list_that_is_bad_as_a_whole_is_refused_and_writes_nothing(
    session: Session, data: bytes, says: str
) -> None:
    with pytest.raises(ImportRefusedError, match=says) as caught:
        load(session, data)
    assert caught.value.hint
    assert "ann@" not in str(caught.value)
    assert people(session) == []


def test_a_list_over_the_limit_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 20)
    with pytest.raises(ImportRefusedError, match="more than 20"):
        load(session, "email\nann@example.com\n")


@pytest.mark.parametrize(
    "changes",
    [{"consent": " "}, {"given_on": ""}, {"given_on": "soon"}, {"given_on": "2030-01-01"}],
)
def test_a_list_without_stated_consent_is_refused(
    session: Session, changes: dict[str, str]
) -> None:
    with pytest.raises(ImportRefusedError):
        load(session, "email\nann@example.com\n", **changes)
    assert people(session) == []


@pytest.mark.parametrize(
    "row",
    [
        "not an address,Ann",
        ",Ann",
        "ann@example.com,Smith,Ann",
        "ann@example.com,A\x00nn",
        "ann\x00@example.com,Ann",
        'ann@example.com,"Ann"x',
        "ann@example.com,=?utf-8?q?x?=",
        "ann@example.com," + "x" * 201,
        "ann@example.com," + "x" * 200_000,
        '"ann@example.com\nbob@example.com",Ann',
        'ann@example.com,"Ann\nbob@example.com,Bob\neve@example.com,"',
    ],
)
def test_one_bad_row_is_rejected_and_the_others_go_in(session: Session, row: str) -> None:
    report = load(session, f"email,name\nfirst@example.com,1\n{row}\nlast@example.com,2\n")
    assert (report.added, report.rejected) == (2, 1)
    assert report.examples[0].line == 3
    assert report.examples[0].reason
    assert [address for address, *_ in people(session)] == ["first@example.com", "last@example.com"]


def test_who_left_and_who_is_suppressed_stays_so(session: Session) -> None:
    load(session, "email\nleft@example.com\nactive@example.com\n")
    left = consent.find(session, EmailAddress.parse("left@example.com"))
    assert left is not None
    assert left.id is not None
    consent.unsubscribe(session, left.id, source="page", network="", now=NOW)
    suppression.suppress(
        session, "gone@example.com", SuppressionReason.HARD_BOUNCE, detail="", now=NOW
    )
    report = load(
        session,
        "email\nLEFT@example.com\nActive@example.com\ngone@example.com\n"
        "new@example.com\nNEW@example.com\nnonsense\n",
    )
    assert (report.rows, report.added, report.already) == (6, 1, 2)
    assert (report.kept_unsubscribed, report.kept_suppressed) == (1, 1)
    assert [entry.email for entry in report.examples] == ["nonsense"]
    assert people(session)[0] == ("left@example.com", "", "unsubscribed")
    assert "gone@example.com" not in [address for address, *_ in people(session)]


def test_who_waits_for_a_confirmation_becomes_active(session: Session) -> None:
    address = EmailAddress.parse("ann@example.com")
    signed = consent.sign_up(session, address, source="form", wording="w", network="", now=NOW)
    assert load(session, "email,name\nann@example.com,Ann\n").added == 1
    found = consent.find(session, address)
    assert found is not None
    assert (found.status, found.name, found.confirmed_at) == ("active", "Ann", NOW)
    history = consent.consent_history(session, signed.subscriber_id)
    assert [entry.action for entry in history] == ["signed_up", "imported"]


def test_a_dry_run_reports_the_same_and_writes_nothing(session: Session) -> None:
    data = "email\nann@example.com\nnonsense\nann@example.com\n"
    rehearsed = load(session, data, dry_run=True)
    assert people(session) == []
    assert load(session, data) == rehearsed


def test_importing_twice_adds_nobody_twice(session: Session) -> None:
    data = "email\n" + "".join(f"reader{n}@example.com\n" for n in range(2500))
    assert load(session, data).added == 2500
    assert load(session, data).already == 2500
    assert len(session.exec(select(ConsentRecord)).all()) == 2500


def test_of_many_doubles_the_first_is_kept_in_the_order_of_the_file(session: Session) -> None:
    first = [f"r{n * 7 % 2003}@example.com,First {n}" for n in range(2003)]
    again = [f"R{n}@EXAMPLE.com,Again {n}" for n in range(2003)]
    report = load(session, "email,name\n" + "\n".join([*first, *again, *again]))
    assert (report.rows, report.added, report.already) == (6009, 2003, 4006)
    assert [f"{address},{name}" for address, name, _ in people(session)] == first


def test_everybody_new_has_a_proof_also_where_ids_do_not_ascend(session: Session) -> None:
    # After the highest id there is, SQLite gives any that is free.
    last = Subscriber(
        id=2**63 - 1, address="z@example.com", address_key="z@example.com", status="pending",
        created_at=NOW,
    )  # fmt: skip
    session.add(last)
    load(session, "email,tags\n" + "".join(f"r{n}@example.com,vip\n" for n in range(1000)))
    proofs = session.exec(select(ConsentRecord.subscriber_id)).all()
    assert len(proofs) == len(set(proofs)) == 1000
    assert last.id not in proofs


def test_an_import_writes_in_chunks_not_row_by_row(database: Engine) -> None:
    statements: list[str] = []
    event.listen(
        database,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: statements.append(statement),
    )
    with session_on(database) as session:
        load(session, "email\n" + "".join(f"r{n}@example.com\n" for n in range(3000)))
    assert len(statements) < 30


def test_rejected_rows_can_be_mended_and_imported_again(session: Session) -> None:
    data = 'email,name\nann@example,=Ann\nbob@@example.com,"Bob, the ""B"""\n+eve,\'-x\n'
    report, errors = with_errors(session, data)
    again, errors_again = with_errors(session, errors)
    assert [(r.email, r.name, r.reason) for r in again.examples] == [
        (r.email, r.name, r.reason) for r in report.examples
    ]
    assert errors_again.splitlines()[0] == errors.splitlines()[0] == "email,name,line,reason"
    mended = errors.replace("ann@example,", "ann@example.com,").replace("@@", "@")
    assert load(session, mended).added == 2
    assert [name for _, name, _ in people(session)] == ["=Ann", 'Bob, the "B"']


def test_a_rejected_row_loses_none_of_its_cells(session: Session) -> None:
    data = (
        "reason,Email Address,tags,notes\n"
        'vip,nobody,"a, b",kept\n'
        "x,ann@example.com,a,b,too many\n"
        'y,"open"quote,a,b\n'
    )
    _, errors = with_errors(session, data)
    assert list(csv.reader(io.StringIO(errors))) == [
        ["Email Address", "tags", "notes", "line", "reason"],
        ["nobody", "a, b", "kept", "2", NO_SIGN],
        ["x,ann@example.com,a,b,too many", "", "", "3",
         "more fields than columns: a field with a comma in it needs quotes"],
        ['y,"open"quote,a,b', "", "", "4", "the line cannot be read: ',' expected after '\"'"],
    ]  # fmt: skip
    assert load(session, errors).rejected == 3


def test_an_export_says_on_what_ground_each_person_is_on_the_list(session: Session) -> None:
    load(session, "email,name\nann@example.com,=cmd|x\n")
    bob = EmailAddress.parse("bob@example.com")
    id_ = consent.sign_up(
        session, bob, source="form", wording="One a week", network="", now=NOW
    ).subscriber_id
    consent.confirm(session, id_, issued_at=NOW, source="page", network="", now=NOW)
    consent.unsubscribe(session, id_, source="page", network="", now=NOW)
    suppression.suppress(session, bob.key, SuppressionReason.COMPLAINT, detail="", now=NOW)
    rows = list(csv.DictReader(io.StringIO("".join(exports.export_lines(session)))))
    assert [row["email"] for row in rows] == ["ann@example.com", "bob@example.com"]
    assert rows[0]["name"] == "'=cmd|x"
    assert (rows[0]["consent"], rows[0]["consent_given_on"]) == ("imported", "2026-11-20")
    assert (rows[1]["status"], rows[1]["suppressed"]) == ("unsubscribed", "complaint")
    assert (rows[1]["consent"], rows[1]["consent_wording"]) == ("confirmed", "One a week")
    assert rows[1]["confirmed_at"] == "2026-11-23T09:00:00+00:00"


def test_the_erased_are_not_exported(session: Session) -> None:
    load(session, "email\nann@example.com\n")
    found = consent.find(session, EmailAddress.parse("ann@example.com"))
    assert found is not None
    found.status = "erased"
    session.add(found)
    assert len(list(exports.export_lines(session))) == 1


def test_an_export_imported_elsewhere_brings_back_nobody_who_left(session: Session) -> None:
    report = load(
        session,
        "email,name,status,suppressed\n"
        "ann@example.com,,active,\n"
        "bob@example.com,,unsubscribed,\n"
        "eve@example.com,,active,complaint\n",
    )
    assert (report.added, report.kept_unsubscribed, report.kept_suppressed) == (1, 1, 1)


@given(
    st.text(max_size=30)
    | st.text("'=+-@＝＋－＠\t\r\n;,\" a", max_size=8)
    | st.sampled_from(["=1+1", "'=x", "''=x", "'t Hooft", "@a", "-", "+49"])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_name_survives_export_and_import(database: Engine, text: str) -> None:
    try:
        name = clean_name(text)
    except AddressError:
        return
    with session_on(database) as session:
        consent.add(
            session,
            EmailAddress.parse("=ann@example.com"),
            name,
            consent="yes",
            given_on="2026-11-20",
            source="desk",
            now=NOW,
        )
        exported = "".join(exports.export_lines(session))
        session.rollback()
        load(session, exported)
        assert people(session) == [("=ann@example.com", name, "active")]
        session.rollback()


@given(st.text(max_size=20) | st.text("'=+-@＝＋－＠\t\r\n", max_size=6))
def test_a_guarded_cell_runs_nowhere_and_comes_back(cell: str) -> None:
    guarded = spreadsheet.guard(cell)
    assert guarded[:1] not in tuple("=+-@\t\r\n＝＋－＠")
    assert spreadsheet.unguard(guarded) == cell


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: ("email\n" + t).encode()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_accounted_for_or_refused(database: Engine, data: bytes) -> None:
    with session_on(database) as session, suppress(ImportRefusedError):
        load(session, data, dry_run=True)  # asserts that every row is accounted for
