"""A whole issue by SMTP, through the ledger: its proof is the server's own log."""

from __future__ import annotations

import postroom
import pytest
from smtp_client import for_reader, smtp
from smtp_server import CHUNKED, EXTENSIONS, SmtpServer
from sqlalchemy import Engine


@pytest.mark.parametrize("extensions", [EXTENSIONS, CHUNKED], ids=["pipelined", "chunked"])
def test_an_issue_goes_out_by_smtp_and_its_proof_holds(
    database: Engine, extensions: tuple[str, ...]
) -> None:
    issue_id = postroom.frozen_issue(database, readers=300)
    script = for_reader(7, "RCPT", "550 5.1.1 Nobody")
    with (
        SmtpServer(script, extensions=extensions) as server,
        smtp(server.url, connections=3) as provider,
    ):
        postroom.deliver(database, issue_id, provider)
        assert len(set(server.readers)) == len(server.readers) == 299
    proof = postroom.prove(database, issue_id)
    assert (proof.holds, proof.complete, proof.duplicates) == (True, True, 0)
    assert (proof.states["submitted"], proof.states["bounced"]) == (299, 1)
