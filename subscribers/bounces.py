"""What a server's refusal says: one table of status codes, one of reasons for want of a code.

Of 517 labelled recipients refused with 5.x.x, 327 had a mailbox: most refusals are about the
sender, its content or a full mailbox. So only the codes that say so are hard, and what neither
table knows stays unclassified. The codes: RFC 3463 and the registry of RFC 5248.
"""

from __future__ import annotations

import re
from typing import Final

from subscribers.policy import Verdict

HARD: Final = frozenset(
    {
        "5.1.1",  # no such mailbox
        "5.1.2",  # no such system
        "5.1.3",  # no valid address
        "5.1.6",  # moved, and left no address
        "5.1.10",  # the domain takes no mail (null MX)
        "5.2.1",  # the mailbox is disabled
    }
)
# About us: the sender's address or domain, the protocol we spoke, what we sent, or policy.
_SENDERS_FAULT: Final = re.compile(r"5\.1\.[78]|5\.[567]\.\d+")
_SAYS_NOTHING: Final = re.compile(r"[45]\.\d+\.0")  # "other": the words may say more
_ENHANCED = re.compile(r"(?:5\d\d[ -])?(5\.\d{1,3}\.\d{1,3})(?![\d.])")
_ANYWHERE = re.compile(
    r"(?<![\d.])(?:[45]\d\d[ -]+|\(?#)?([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)", re.ASCII
)

# Words of the servers of many makers, in English: who writes in another language gives a code.
_ABOUT_US: Final = (
    r"spam|junk|unsolicited|block(?:ed|.?list)|black.?list|reputation|dnsbl|\brbl\b|dmarc"
    r"|\bspf\b|\bdkim\b|polic(?:y|ies)|not authori[sz]ed|relay|banned|virus|content"
)
_FULL: Final = (
    r"(?:mailbox|inbox|quota|storage)\W+(?:\w+\W+){0,4}(?:full|exceed\w*)|over ?quota"
    r"|quota exceeded|insufficient (?:system )?storage|out of (?:disk|storage)"
)
_PASSING: Final = (
    r"(?:time|timed)[ -]?out|expired|grey.?list|try again|temporar|too (?:many|long)"
    r"|retry|could not connect|unreachable|host not found|rate limit|deferred"
)
_NOBODY: Final = (
    r"(?:user|recipient|mailbox|account|address(?:ee)?|alias)\b[^\n.;]{0,60}?"
    r"(?:unknown|not found|not exist|invalid|disabled|deactivated|no longer)"
    r"|(?:unknown|invalid|no such|nonexistent|not a (?:valid|known)) "
    r"(?:virtual )?(?:user|recipient|mailbox|account|address|person|local)"
    r"|no mailbox here by that name|address not found"
)
# The first that is found decides. What is about the sender comes first: such a refusal may well
# name the mailbox.
_REASONS: Final = tuple(
    (re.compile(words, re.IGNORECASE), verdict)
    for words, verdict in (
        (_ABOUT_US, Verdict.BLOCKED),
        (_FULL, Verdict.SOFT),
        (_PASSING, Verdict.SOFT),
        (_NOBODY, Verdict.HARD),
    )
)


def enhanced_code(reply: str) -> str:
    """The enhanced status code that `550 5.1.1 No such user` or `5.1.1 ...` begins with, or ""."""
    found = _ENHANCED.match(reply)
    return found[1] if found else ""


def code_in(words: str) -> str:
    """The first enhanced status code anywhere in a server's words, or ""; no address of a host."""
    found = _ANYWHERE.search(words)
    return found[1] if found else ""


def is_hard(reply: str) -> bool:
    """Whether a server's refusal says that there is no such mailbox."""
    return enhanced_code(reply) in HARD


def verdict_of_code(code: str) -> Verdict:
    """What a status code alone says of a delivery that failed for good; 4.x.x: it expired."""
    if code in HARD:
        return Verdict.HARD
    if not code or code.startswith("2") or _SAYS_NOTHING.fullmatch(code):
        return Verdict.UNCLASSIFIED
    return Verdict.SENDER_FAULT if _SENDERS_FAULT.fullmatch(code) else Verdict.SOFT


def verdict_of(code: str, words: str) -> Verdict:
    """What a mail about a delivery that failed says: by its code, else by its words.

    words: the server's, without any address. A code that means "other" leaves it to the words; an
    expired delivery (4.x.x) is soft whatever they are.
    """
    by_code = verdict_of_code(code)
    if by_code is not Verdict.UNCLASSIFIED:
        return by_code
    if code.startswith("4"):
        return Verdict.SOFT
    if code.startswith("5.7."):
        return Verdict.SENDER_FAULT
    return next((verdict for reason, verdict in _REASONS if reason.search(words)), by_code)
