"""A reader's own page: what they chose, a change of address, their data and its erasure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from newsletter import letters, own_data
from newsletter.app import App
from newsletter.editorial import library
from newsletter.errors import NotFoundError
from newsletter.tokens import DeliveryToken, MoveToken
from newsletter.tracking import events, snapshots
from newsletter.tracking.events import EventKind
from subscribers import audit, choices, consent, engagement, moving
from subscribers.address import EmailAddress
from subscribers.choices import Choices
from subscribers.errors import AddressError, ChoiceError
from subscribers.models import Subscriber, SubscriberStatus
from subscribers.moving import End, Wish
from subscribers.outcomes import Changed, Erasure, Move

SOURCE = "page:preferences"

# What may be asked for besides the publication's own language, each under its own name (BCP 47).
LANGUAGES = {
    "ar": "العربية",
    "zh": "中文",
    "cs": "Čeština",
    "da": "Dansk",
    "nl": "Nederlands",
    "en": "English",
    "fi": "Suomi",
    "fr": "Français",
    "de": "Deutsch",
    "el": "Ελληνικά",
    "he": "עברית",
    "hi": "हिन्दी",
    "hu": "Magyar",
    "id": "Bahasa Indonesia",
    "it": "Italiano",
    "ja": "日本語",
    "ko": "한국어",
    "nb": "Norsk bokmål",
    "pl": "Polski",
    "pt": "Português",
    "ro": "Română",
    "es": "Español",
    "sv": "Svenska",
    "tr": "Türkçe",
    "uk": "Українська",
    "vi": "Tiếng Việt",
}


@dataclass(frozen=True, slots=True)
class OwnPage:
    """What a reader on the list chose, and what there is to choose from."""

    address: str  # redacted: a forwarded mail must not tell whose it was
    chosen: Choices
    until: str  # the day on which a pause ends, as 2026-12-24; "" without one
    topics: tuple[str, ...]  # on offer, and those they chose when they were
    languages: tuple[tuple[str, str], ...]  # tag and name, the publication's own first as ""
    zones: tuple[str, ...]
    zone: str  # the publication's


def send_preferences_link(app: App, address: EmailAddress, *, may_mail: bool = True) -> None:
    """Mails a reader the link to their page; the caller learns nothing of the address.

    may_mail: False where a limit was passed; the work is done all the same, as for nobody.
    """
    with app.session() as session:
        reader = consent.find(session, address)
        letters.preferences_link(session, reader if may_mail else None, now=app.clock())


def send_data_link(app: App, address: EmailAddress, *, may_mail: bool = True) -> None:
    """Mails whoever is on record the link to their data; the caller learns nothing of the address.

    may_mail: as above.
    """
    with app.session() as session:
        reader = consent.find(session, address)
        letters.own_data_link(session, reader if may_mail else None, now=app.clock())


def send_own_data_link(app: App, subscriber_id: int) -> None:
    """The same, asked for on the page of a reader on the list."""
    with app.session() as session:
        reader = session.get(Subscriber, subscriber_id)
        if reader is not None and reader.status in consent.ON_THE_LIST:
            letters.own_data_link(session, reader, now=app.clock())


def read_preferences(app: App, token: str) -> DeliveryToken:
    """Checks a preferences token and changes nothing. Raises TokenError."""
    return app.keyring.read_preferences(token)


def look(app: App, subscriber_id: int) -> OwnPage | None:
    """The page of a reader on the list; None for anybody else."""
    with app.session(readonly=True) as session:
        chosen = choices.read(session, subscriber_id)
        reader = session.get(Subscriber, subscriber_id)
        if chosen is None or reader is None:
            return None
        found = library.listed(session, samples=False) or library.listed(session, samples=True)
        offered = {tool.category for one in found for tool in one.tools}
        return OwnPage(
            address=_redacted(reader.address),
            chosen=chosen,
            until=_day(app, chosen),
            topics=tuple(sorted(offered | chosen.topics, key=str.casefold)),
            languages=_languages(app, chosen.language),
            zones=choices.zones(),
            zone=app.slot.zone.key,
        )


def save(
    app: App,
    subscriber_id: int,
    chosen: Choices,
    *,
    until: str,
    network: str,
    issue_id: int = 0,
    agent: str = "",
) -> Changed:
    """Keeps all choices, or none. until: the day on which a pause ends, "" for none.

    issue_id: whose mail they came from, 0 for none; that they did is a fact about it.

    Raises AddressError for a name that cannot be used, ChoiceError for what is not on offer.
    """
    page = look(app, subscriber_id)
    if page is None:
        return Changed.NOT_ON_THE_LIST
    if not chosen.topics <= set(page.topics):
        raise ChoiceError("that is no topic of ours", hint="choose from the list")
    if chosen.language not in dict(page.languages):
        raise ChoiceError("that is no language on the list", hint="choose from the list")
    with app.session() as session:
        # Also where nothing changes: it is how a silent reader answers that they are still there.
        engagement.sign_of_life(session, subscriber_id, app.clock())
        if issue_id:
            _came_from(app, session, subscriber_id, issue_id, agent=agent, network=network)
        changed = choices.save(
            session,
            subscriber_id,
            _with_end(app, chosen, until),
            source=SOURCE,
            network=network,
            now=app.clock(),
        )
        if chosen.is_tracked != page.chosen.is_tracked:
            snapshots.outdate_of_reader(session, subscriber_id)
        return changed


def _came_from(
    app: App, session: Session, subscriber_id: int, issue_id: int, *, agent: str, network: str
) -> None:
    events.append(
        session,
        issue_id=issue_id,
        subscriber_id=subscriber_id,
        kind=EventKind.PREFERENCES,
        link=None,
        at=app.clock(),
        method="POST",
        agent=agent,
        network=network,
    )


def ask_to_move(app: App, subscriber_id: int, email: str) -> None:
    """Asks both mailboxes whether mail may go to another address; the caller learns nothing of it.

    Raises AddressError where the text is no address, or one that no mail of ours could reach.
    """
    address = EmailAddress.parse(email)
    if address.needs_smtputf8:
        raise AddressError(
            "mail to this address needs SMTPUTF8, which is not offered",
            hint="use an address with plain letters before the @",
        )
    now = app.clock()
    with app.session() as session:
        asked = moving.ask(
            session, subscriber_id, address, fingerprint_of=app.keyring.of_address, now=now
        )
        if asked is not None:
            letters.move_asked(session, subscriber_id, asked, now=now)


def read_move(app: App, token: str) -> MoveToken:
    """Checks a token of a change of address and changes nothing. Raises TokenError."""
    return app.keyring.read_move(token, app.clock())


def look_at_move(app: App, asked: MoveToken) -> Wish | None:
    """The change as it stands; None where it is over."""
    with app.session(readonly=True) as session:
        return moving.look(session, asked.change_id, _end(asked))


def answer_move(app: App, asked: MoveToken, *, agrees: bool, network: str) -> Move:
    """One mailbox says yes or no."""
    end = _end(asked)
    with app.session() as session:
        if not agrees:
            return moving.refuse(session, asked.change_id, now=app.clock())
        return moving.agree(
            session,
            asked.change_id,
            end,
            fingerprint_of=app.keyring.of_address,
            source=f"mail:move-{'to' if asked.is_new else 'from'}",
            network=network,
            now=app.clock(),
        )


def read_own_data(app: App, token: str) -> int:
    """Whose data; checks the token and changes nothing. Raises TokenError."""
    return app.keyring.read_own_data(token, app.clock())


def is_on_record(app: App, subscriber_id: int) -> bool:
    """Whether there is anybody to fetch or erase."""
    with app.session(readonly=True) as session:
        reader = session.get(Subscriber, subscriber_id)
        return reader is not None and reader.status != SubscriberStatus.ERASED


def export(app: App, subscriber_id: int) -> dict[str, Any] | None:
    """All we hold on this person, as plain values for JSON; None for who is not on record."""
    with app.session(readonly=True) as session:
        return own_data.collect(session, subscriber_id)


def erase(app: App, subscriber_id: int) -> Erasure:
    """The person has their data erased. Idempotent, and for good."""
    with app.session() as session:
        return own_data.erase(app, session, subscriber_id, source="page:your-data")


def erase_by_operator(app: App, email: str, *, by: str) -> Erasure:
    """An operator erases whoever asked for it by other means; the audit log has it, nameless.

    Raises AddressError, and NotFoundError where nobody on record has this address.
    """
    address = EmailAddress.parse(email)
    with app.session() as session:
        reader = consent.find(session, address)
        if reader is None:
            raise NotFoundError(
                f"{address.redacted} is not on the list", hint="see `newsletter subscribers list`"
            )
        outcome = own_data.erase(app, session, reader.id or 0, source="operator")
        audit.record(
            session, by=by, action="erase", detail={"outcome": outcome}, readers=1, now=app.clock()
        )
        return outcome


def _end(asked: MoveToken) -> End:
    return End.NEW if asked.is_new else End.OLD


def _redacted(address: str) -> str:
    try:
        return EmailAddress.parse(address).redacted
    except AddressError:  # stored by an older rule
        return "…"


def _languages(app: App, chosen: str) -> tuple[tuple[str, str], ...]:
    own = app.publication.language
    base = own.partition("-")[0].lower()
    offered = {tag: name for tag, name in LANGUAGES.items() if tag not in (own, base)}
    if chosen:
        offered.setdefault(chosen, LANGUAGES.get(chosen, chosen))
    return (("", LANGUAGES.get(base, own)), *offered.items())


def _zone(app: App, chosen: Choices) -> ZoneInfo:
    known = chosen.timezone in choices.zones()
    return ZoneInfo(chosen.timezone) if known else app.slot.zone


def _day(app: App, chosen: Choices) -> str:
    until = chosen.paused_until
    return until.astimezone(_zone(app, chosen)).date().isoformat() if until else ""


def _with_end(app: App, chosen: Choices, until: str) -> Choices:
    """A pause ends when that day begins where the reader is."""
    if not chosen.is_paused or not until.strip():
        return replace(chosen, paused_until=None)
    try:
        day = date.fromisoformat(until.strip())
        begins = datetime.combine(day, time(), tzinfo=_zone(app, chosen))
        return replace(chosen, paused_until=begins.astimezone(UTC))
    except (ValueError, OverflowError):
        raise ChoiceError("that is no day", hint="write it as 2026-12-24") from None
