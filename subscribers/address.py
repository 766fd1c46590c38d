"""Mail addresses and names as people type them: parsed once, then valid for good.

Three forms of one address: `given`, as the person wrote it; `wire`, for the To header, with the
domain in ASCII; `key`, by which it is unique: lower-cased, domain in ASCII, tags and dots kept,
because only the mailbox's host knows whether they matter.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import InitVar, dataclass

from email_validator import EmailNotValidError, validate_email

from subscribers.errors import AddressError

MAX_ADDRESS_CHARS = 254  # RFC 5321, 4.5.3.1.3 with its erratum 1690
MAX_NAME_CHARS = 200

_AROUND = " \t\r\n\u00a0\ufeff"  # what pasting brings along; anything else is judged
_PARSED = object()  # held by parse() alone: nobody else can make an EmailAddress
# Marks and overrides of direction turn a shown name around, and so what follows it.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HINT = "write one address, as in name@example.com"


@dataclass(frozen=True, slots=True, repr=False)
class EmailAddress:
    """One address mail can go to; it exists only by `EmailAddress.parse`.

    given: stripped, the domain as typed. key: unique normal form. local: the part before the @ in
    Unicode's composed form (NFC). ascii_domain: the domain after IDNA. Its repr is `redacted`.
    """

    given: str
    key: str
    local: str
    ascii_domain: str
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PARSED:
            raise TypeError("an EmailAddress is made by EmailAddress.parse")

    @classmethod
    def parse(cls, text: str) -> EmailAddress:
        """Reads one bare address of at most 254 characters; asks no name server.

        Raises AddressError, whose message holds no part of the address, for anything else: control
        characters, `=?` (which mail programs decode as an encoded word), a display name, a list.
        """
        given = text.strip(_AROUND)
        _refuse_the_dangerous(given)
        try:
            valid = validate_email(given, check_deliverability=False, strict=True)
        except (EmailNotValidError, UnicodeError) as error:
            raise AddressError(_reason(error), hint=_HINT) from None
        local, domain = valid.local_part, valid.ascii_domain
        if domain is None or len(local) + 1 + len(domain) > MAX_ADDRESS_CHARS:
            raise _too_long()
        key = f"{unicodedata.normalize('NFC', local.lower())}@{domain.lower()}"
        return cls(given, key, local, domain.lower(), _PARSED)

    @property
    def wire(self) -> str:
        """The address for the To header and RCPT: the local part as given, the domain in ASCII."""
        return f"{self.local}@{self.ascii_domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """True where the local part is not ASCII: only servers with RFC 6531 can take it."""
        return not self.local.isascii()

    @property
    def redacted(self) -> str:
        """Safe for logs: the first character and the domain, `p…@example.com`."""
        return f"{self.local[0]}…@{self.ascii_domain}"

    def __repr__(self) -> str:
        return f"EmailAddress({self.redacted})"


def clean_name(text: str) -> str:
    """A name of at most 200 characters on one line; '' is allowed.

    White space is trimmed and collapsed; control characters and overrides of direction are dropped.
    Raises AddressError for `=?`, which a mail program would decode, and for a longer name.
    """
    plain = text.isascii() and text.isprintable()  # most names are, and lists are long
    kept = text if plain else "".join(map(_kept, text))
    name = " ".join(kept.split())
    if "=?" in name:
        raise AddressError("a name must not contain =?", hint="write the name as plain text")
    if len(name) > MAX_NAME_CHARS:
        raise AddressError(
            f"a name has at most {MAX_NAME_CHARS} characters, this one has {len(name):,}",
            hint="shorten the name",
        )
    return name


def _kept(character: str) -> str:
    if character.isspace():
        return " "
    dropped = (
        character in _DIRECTION
        or character == "\ufeff"
        or unicodedata.category(character) in ("Cc", "Cs")
    )
    return "" if dropped else character


def _refuse_the_dangerous(given: str) -> None:
    if not given:
        raise AddressError("there is no address", hint=_HINT)
    if len(given) > MAX_ADDRESS_CHARS:
        raise _too_long()
    if not given.isprintable() and any(map(_is_control, given)):
        raise AddressError("the address contains a control character", hint=_HINT)
    if "=?" in given:
        raise AddressError("the address contains =?, which mail programs decode", hint=_HINT)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _too_long() -> AddressError:
    return AddressError(f"an address has at most {MAX_ADDRESS_CHARS} characters", hint=_HINT)


def _reason(error: Exception) -> str:
    """The validator's sentence, less what is in brackets: that may be part of the address."""
    sentence = re.sub(r"\s*\([^()]*\)", "", str(error)).rstrip(".")
    return f"this address cannot be used: {sentence}"
