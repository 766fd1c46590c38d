"""Which refusals mean that a mailbox is not there.

Of 517 labelled recipients refused with 5.x.x, 327 had a mailbox: most refusals are about the
sender, its content or a full mailbox. So the codes stand in a table, and whatever is not in it
suppresses nobody. The codes: RFC 3463 and the registry of RFC 5248.
"""

from __future__ import annotations

import re
from typing import Final

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
_ENHANCED = re.compile(r"(?:5\d\d[ -])?(5\.\d{1,3}\.\d{1,3})(?![\d.])")


def enhanced_code(reply: str) -> str:
    """The enhanced status code that `550 5.1.1 No such user` or `5.1.1 ...` begins with, or ""."""
    found = _ENHANCED.match(reply)
    return found[1] if found else ""


def is_hard(reply: str) -> bool:
    """Whether a server's refusal says that there is no such mailbox."""
    return enhanced_code(reply) in HARD
