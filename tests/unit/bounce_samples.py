"""Bounces as several makers write them, all invented: each names the message it is about."""

from __future__ import annotations

import base64
from dataclasses import dataclass

MESSAGE_ID = "2026-w48.0123456789abcdef01234567@verdicts.example.com"
GONE = "gone@example.org"
RETURNED = f"""\
Return-Path: <news@verdicts.example.com>
From: Verdicts <news@verdicts.example.com>
To: {GONE}
Subject: Two tools, one verdict
Message-ID: <{MESSAGE_ID}>
"""


@dataclass(frozen=True)
class Sample:
    """A mail and what it says: kind, verdict, code."""

    raw: str
    kind: str = "bounce"
    verdict: str = "hard"
    code: str = "5.1.1"

    @property
    def octets(self) -> bytes:
        return self.raw.encode("latin-1")


def report(status: str, *, words: str = "Not delivered.", kind: str = "") -> str:
    """A report in the form of RFC 3464; kind: what the status part is called."""
    return f"""\
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: news@verdicts.example.com
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="AB12/mx.example.net"

This is a MIME-encapsulated message.

--AB12/mx.example.net
Content-Type: text/plain; charset=us-ascii

{words}

--AB12/mx.example.net
Content-Type: {kind or "message/delivery-status"}

{status}
--AB12/mx.example.net
Content-Type: message/rfc822

{RETURNED}
The body of what was sent.

--AB12/mx.example.net--
"""


def fields(code: str, said: str, action: str = "failed") -> str:
    return f"""\
Reporting-MTA: dns; mx.example.net
X-Postfix-Queue-ID: 4ABCDEF
Arrival-Date: Tue, 24 Nov 2026 09:00:01 +0000 (UTC)

Final-Recipient: rfc822; {GONE}
Original-Recipient: rfc822;{GONE}
Action: {action}
Status: {code}
Remote-MTA: dns; mail.example.org
Diagnostic-Code: smtp; {said}
"""


UNKNOWN_USER = fields("5.1.1", f"550 5.1.1 <{GONE}>: Recipient address rejected: User unknown")
POSTFIX = report(UNKNOWN_USER)

EXIM_OLD = f"""\
X-Failed-Recipients: {GONE}
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mx.example.net>
To: news@verdicts.example.com
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {GONE}
    host mail.example.org [192.0.2.7]
    SMTP error from remote mail server after RCPT TO:<{GONE}>:
    550 5.1.1 <{GONE}> No such user here

------ This is a copy of the message, including all the headers. ------

{RETURNED}
Our policy on spam: we block it.
"""

QMAIL = f"""\
Return-Path: <>
From: MAILER-DAEMON@mx.example.net
To: news@verdicts.example.com
Subject: failure notice

Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{GONE}>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

{RETURNED}
"""

SENDMAIL = f"""\
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>
To: news@verdicts.example.com
Subject: Returned mail: see transcript for details

The original message was received at Tue, 24 Nov 2026 09:00:01 GMT
from localhost [127.0.0.1]

   ----- The following addresses had permanent fatal errors -----
<{GONE}>
    (reason: 550 5.1.1 <{GONE}>... User unknown)

   ----- Transcript of session follows -----
... while talking to mail.example.org.:
>>> DATA
<<< 550 5.1.1 <{GONE}>... User unknown
550 5.1.1 <{GONE}>... User unknown

   ----- Original message follows -----

{RETURNED}
"""

EXCHANGE = report(
    f"""\
Reporting-MTA: dns;EX01.example.net
Received-From-MTA: dns;mx.example.net

Final-Recipient: RFC822;{GONE}
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP
 address lookup
X-Display-Name: Gone
"""
)

GMAIL = report(
    f"""\
Reporting-MTA: dns; googlemail.example
Received-From-MTA: dns; news@verdicts.example.com
X-Original-Message-ID: <{MESSAGE_ID}>

Final-Recipient: rfc822; {GONE}
Action: failed
Status: 5.0.0
Remote-MTA: dns; mx.example.org. (192.0.2.7, the server for the domain.)
Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.
 550-5.1.1 Please try double-checking the address.
 550 5.1.1 learn more at the help pages
"""
)

# A report inside a report that somebody's filter wrapped, with the inner one packed in base64.
WRAPPED = (
    "From: filter@example.net\nTo: news@verdicts.example.com\nSubject: Fwd: returned mail\n"
    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=outer\n\n"
    "--outer\nContent-Type: text/plain\n\nsee below\n"
    "--outer\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
    + base64.encodebytes(POSTFIX.encode()).decode()
    + "--outer--\n"
)
NO_BOUNDARY = POSTFIX.replace('\n\tboundary="AB12/mx.example.net"', "")
WRONG_BOUNDARY = POSTFIX.replace('boundary="AB12/mx.example.net"', 'boundary="another"')
CALLED_TEXT = report(UNKNOWN_USER, kind="text/plain; charset=us-ascii")
CALLED_OCTETS = report(UNKNOWN_USER, kind="application/octet-stream")
NO_LAST_MARK = POSTFIX.replace("--AB12/mx.example.net--\n", "")
NO_BLANK_LINE = report(UNKNOWN_USER.replace("\n\n", "\n"))
ALL_PLAIN = POSTFIX.replace(
    'multipart/report; report-type=delivery-status;\n\tboundary="AB12/mx.example.net"', "text/plain"
)
QUOTED_PRINTABLE = report(
    UNKNOWN_USER.replace("Status: 5.1.1", "Status:=20=\n5.1.1"),
    kind="message/delivery-status\nContent-Transfer-Encoding: quoted-printable",
)

PACKED_NO_BOUNDARY = report(
    base64.encodebytes(UNKNOWN_USER.encode()).decode(),
    kind="message/delivery-status\nContent-Transfer-Encoding: base64",
).replace('\n\tboundary="AB12/mx.example.net"', "")
ONLY_WORDS = QMAIL.replace(" (#5.1.1)", "") + "Our policy: spam is blocked.\n"

HARD = {
    "a packed status, no boundary": Sample(PACKED_NO_BOUNDARY),
    "words alone, with others in the copy": Sample(ONLY_WORDS, code=""),
    "Postfix": Sample(POSTFIX),
    "Exim's text": Sample(EXIM_OLD),
    "qmail": Sample(QMAIL),
    "sendmail's text": Sample(SENDMAIL),
    "Exchange": Sample(EXCHANGE, code="5.1.10"),
    "Gmail": Sample(GMAIL),
    "a report in a report": Sample(WRAPPED),
    "no boundary": Sample(NO_BOUNDARY),
    "a wrong boundary": Sample(WRONG_BOUNDARY),
    "a status called text": Sample(CALLED_TEXT),
    "a status called octets": Sample(CALLED_OCTETS),
    "no last mark": Sample(NO_LAST_MARK),
    "no blank line between the groups": Sample(NO_BLANK_LINE),
    "a report called text": Sample(ALL_PLAIN),
    "a status in quoted-printable": Sample(QUOTED_PRINTABLE),
    "CRLF line ends": Sample(POSTFIX.replace("\n", "\r\n")),
    "no code but words": Sample(report(fields("5.0.0", "550 no such user")), code="5.0.0"),
}

OTHERS = {
    "a full mailbox": Sample(
        report(fields("5.2.2", "552 5.2.2 mailbox full")), verdict="soft", code="5.2.2"
    ),
    "given up after days": Sample(
        report(fields("4.4.1", "connect to mail.example.org: timed out")),
        verdict="soft",
        code="4.4.1",
    ),
    "blocked, without a code": Sample(
        report(fields("5.0.0", "554 your host is listed on a DNSBL, user unknown to us")),
        verdict="blocked",
        code="5.0.0",
    ),
    "our own fault": Sample(
        report(fields("5.7.26", "550-5.7.26 unauthenticated mail, user unknown")),
        verdict="sender_fault",
        code="5.7.26",
    ),
    "words of another language": Sample(
        report(fields("5.0.0", "550 postafiok nem elerheto")), verdict="unclassified", code="5.0.0"
    ),
    "still trying": Sample(
        report(fields("4.4.1", "connection refused", action="delayed")),
        kind="delay",
        verdict="none",
        code="4.4.1",
    ),
    "delivered": Sample(
        report(fields("2.0.0", "250 ok", action="delivered")),
        kind="delivery",
        verdict="none",
        code="2.0.0",
    ),
}


def letter(subject: str, body: str = "Back on Monday.\n", extra: str = "") -> str:
    return (
        f"From: Ann <ann@example.org>\nTo: news@verdicts.example.com\nSubject: {subject}\n"
        f"{extra}Message-ID: <x1@example.org>\nIn-Reply-To: <{MESSAGE_ID}>\n\n{body}"
    )


LETTERS = {
    "an absent reader": Sample(
        letter("Away", extra="Auto-Submitted: auto-replied\nReturn-Path: <>\n"),
        kind="auto_reply",
        verdict="none",
        code="",
    ),
    "an absent reader of old": Sample(
        letter("Out of office: the user is unknown here until Monday"),
        kind="auto_reply",
        verdict="none",
        code="",
    ),
    "a reader who writes": Sample(
        letter("Thanks", "My mailbox was full: 550 5.1.1 user unknown, it said.\n"),
        kind="unknown",
        verdict="unclassified",
        code="",
    ),
}


def complaint(feedback: str = "abuse") -> str:
    """An abuse report in the form of RFC 5965."""
    return f"""\
From: <abusedesk@example.net>
To: <abuse@verdicts.example.com>
Subject: FW: Two tools, one verdict
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1"

--part1
Content-Type: text/plain

This is an email abuse report.
--part1
Content-Type: message/feedback-report

Feedback-Type: {feedback}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <news@verdicts.example.com>

--part1
Content-Type: message/rfc822

{RETURNED}
--part1--
"""
