"""What a refusal for our own fault usually means, and what mends it: by its status code, or reason.

The codes: RFC 3463 (class 5, subject 7: security and policy) and the registry of RFC 5248, with RFC
7372 (authentication of senders), RFC 7505 (null MX) and RFC 8689. Gmail gives some numbers meanings
of its own, and Microsoft has three digits where others have one or two. A code narrows it down; the
server's words, which `newsletter issue proof --csv` shows, decide.

The reasons: SendGrid's for a drop, a message that it did not even try to deliver.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from newsletter.delivery import verdicts
from newsletter.providers.told import Kind
from subscribers import bounces
from subscribers.policy import Verdict


class Meaning(NamedTuple):
    """means: goes on after `Usually:`. mend: whole sentences."""

    means: str
    mend: str


_POLICY: Final = Meaning(
    "the receiving server does not take this mail, or mail from this sender, by a rule of its own: "
    "a list of barred senders, a filter, or no right to send through it",
    "Read the server's words, which often name the list or the rule. Look up the address and the "
    "domain that send on the lists of barred senders, and see whether a link or a phrase of the "
    "issue is what is refused.",
)
_SPF: Final = Meaning(
    "SPF did not pass: the domain of the return path does not name the server that sends",
    "Add the server, or the provider's include, to the SPF record of that domain.",
)
_DKIM: Final = Meaning(
    "DKIM did not pass: no signature, a broken one, or one of another domain than the sender's",
    "See that the provider signs with the domain of the sender's address, and that the key it "
    "signs with is published.",
)
_DMARC: Final = Meaning(
    "DMARC did not pass: SPF or DKIM may hold, but not for the domain of the sender's address, or "
    "that domain publishes no policy",
    "Publish a DMARC record, and let SPF or DKIM pass for the very domain of the sender's address.",
)
_UNKNOWN_SENDER: Final = Meaning(
    "the mail does not prove who sent it: SPF and DKIM both failed, or neither is set up",
    "Set up SPF, DKIM and DMARC for the domain of the sender's address, as the provider says.",
)
_TLS: Final = Meaning(
    "the receiving server wants the connection encrypted, or better encrypted, than it was",
    "Look at the TLS settings and the certificate of the server that sends.",
)
_LOGIN: Final = Meaning(
    "the server that sends for us did not take our credentials, or wants others",
    "Check the user, the password or the key that the settings name for the provider.",
)
_TOO_MANY: Final = Meaning(
    "too much mail at once, more than the receiver is used to from this sender",
    "Set rate_per_domain for it, or a warm-up, before the next issue.",
)
_NEW_OWNER: Final = Meaning(
    "the mailbox or its domain belongs to somebody else since",
    "Take these addresses off the list: whoever has them now never asked for it.",
)

_BY_CODE: Final[Mapping[str, Meaning]] = {
    "5.1.7": Meaning(
        "the sender's address is not one that can be written to",
        "Check the sender's address in the settings.",
    ),
    "5.1.8": Meaning(
        "the domain of the sender's address does not exist, or takes no mail",
        "Give the domain of the sender's address an MX record.",
    ),
    "5.7.1": _POLICY,
    "5.7.2": Meaning(
        "the address is a mailing list that we may not write to",
        "Take it off the list: whoever reads there can sign up with an address of their own.",
    ),
    "5.7.8": _LOGIN,
    "5.7.9": _LOGIN,
    "5.7.10": _TLS,
    "5.7.11": _TLS,
    "5.7.12": _LOGIN,
    "5.7.13": _LOGIN,
    "5.7.17": _NEW_OWNER,
    "5.7.18": _NEW_OWNER,
    "5.7.20": _DKIM,
    "5.7.21": _DKIM,
    "5.7.22": _DKIM,
    "5.7.23": _SPF,
    "5.7.24": _SPF,
    "5.7.25": Meaning(
        "the address of the server that sends has no name, or one that does not lead back to it",
        "Let whoever runs that server set its reverse DNS (PTR), and the same name forwards.",
    ),
    "5.7.26": _UNKNOWN_SENDER,
    "5.7.27": Meaning(
        "at Gmail, that SPF did not pass; elsewhere, that the sender's domain says it takes no "
        "mail (null MX)",
        "Add the server that sends to the SPF record of the return path's domain; give the domain "
        "of the sender's address an MX record.",
    ),
    "5.7.28": _TOO_MANY,
    "5.7.30": Meaning(
        "at Gmail, that DKIM did not pass; elsewhere, that TLS cannot be kept up all the way",
        _DKIM.mend,
    ),
    "5.7.31": _DMARC,
    "5.7.32": _DMARC,
    "5.7.40": _DMARC,
}
_OF_A_MAKER: Final = re.compile(r"5\.7\.\d{3}", re.ASCII)
_MAKERS: Final = Meaning(
    "a code of the receiver's maker, most often Microsoft: the sender, its domain or its server is "
    "barred, fails a check of who sent it, or may not write to this mailbox",
    "Read the server's words, which lead to a page on just this code; set up SPF, DKIM and DMARC, "
    "and ask there to be let in again once it is mended.",
)
_BY_SUBJECT: Final[Mapping[str, Meaning]] = {
    "5.5": Meaning(
        "the two servers did not understand one another, or the server that sends broke a limit",
        "Read the server's words, and ask whoever runs the server that sends.",
    ),
    "5.6": Meaning(
        "the receiving server cannot take the mail as it is written",
        "Read the server's words, and see what `newsletter issue check latest` says.",
    ),
    "5.7": Meaning(
        "security or policy, of which the code says no more",
        "Read the server's words. See that SPF, DKIM and DMARC hold for the domain of the sender's "
        "address.",
    ),
}


_BY_REASON: Final[Mapping[str, Meaning]] = {
    "invalid smtpapi header": Meaning(
        "the provider cannot read the header that tells it how to send",
        "Take the header X-SMTPAPI out of whatever adds it between this program and the provider.",
    ),
    "spam content": Meaning(
        "the provider's own filter takes the issue for spam",
        "See in the provider's settings whether its spam filter is on and how strict it is, and "
        "what `newsletter issue check latest` says.",
    ),
    "recipient list over package quota": Meaning(
        "the plan booked with the provider is used up",
        "Book a larger plan, or wait for its next month; what was dropped is not sent by itself.",
    ),
}


def is_ours(code: str) -> bool:
    """Whether a refusal with this code is our own fault, by the audience's policy."""
    return bounces.verdict_of(code, "") is Verdict.SENDER_FAULT


def drop_of_ours(detail: str) -> str:
    """The reason of `verdicts.DROPS` that a drop for our own fault gives; "" for any other drop."""
    if verdicts.verdict_of(Kind.DROPPED, "", detail) is not Verdict.SENDER_FAULT:
        return ""
    said = detail.lower()
    return next(words for words, _verdict in verdicts.DROPS if said.startswith(words))


def meaning(name: str) -> Meaning:
    """What a code that `is_ours`, or a `drop_of_ours`, usually means.

    Of a code that nobody registered, its subject's.
    """
    if _OF_A_MAKER.fullmatch(name):
        return _MAKERS
    subject = name.rpartition(".")[0]
    known = _BY_REASON.get(name) or _BY_CODE.get(name)
    return known or _BY_SUBJECT.get(subject, _BY_SUBJECT["5.7"])
