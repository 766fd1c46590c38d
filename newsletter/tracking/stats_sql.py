"""The SQL of an issue's figures, all of it, each statement with the index it stands on.

Plain SQL that SQLite and PostgreSQL both speak. What an issue's readers did is gathered once into a
table of this connection's own, a row a reader, and counted from there: walking millions of events
again for every figure would take ten times as long. HEAD requests are of machines and count
nowhere; `resend` is an operator's word and no reader's.
"""

from __future__ import annotations

from sqlalchemy import TextClause, bindparam, text
from sqlmodel.sql.sqltypes import UTCDateTime

# The provider took it, and no mailbox is known to have refused it.
REACHED = ("submitted", "delivered", "deferred", "complained")
_REACHED = "('submitted', 'delivered', 'deferred', 'complained')"
_BEST = "CASE label WHEN 'human' THEN 3 WHEN 'machine' THEN 1 ELSE 2 END"  # 2: unknown

# The part of delivery's primary key, each row with its reader by primary key. Of the
# excluded no domain is asked for: they are thousands of groups nobody looks at. The erased have
# none: their key is a mark.
AUDIENCE = text(
    """
    SELECT delivery.state AS state,
        CASE WHEN delivery.state = 'excluded' THEN delivery.reason ELSE '' END AS reason,
        CASE WHEN delivery.state = 'excluded' OR s.status = 'erased' THEN '' ELSE s.domain END
            AS domain,
        CASE WHEN s.is_tracked THEN 1 ELSE 0 END AS is_tracked,
        count(*) AS readers, count(delivery.delivered_at) AS told,
        min(delivery.submitted_at) AS first_at
    FROM delivery LEFT JOIN subscriber s ON s.id = delivery.subscriber_id
    WHERE delivery.issue_id = :issue_id GROUP BY 1, 2, 3, 4
    """
).columns(first_at=UTCDateTime())

# By event's index on (issue_id, kind): what rules took the events for. What came in after a reader
# was erased is nobody's, and no rule will ever look at it.
EVENTS = text(
    """
    SELECT rule, count(*) AS events,
        count(CASE WHEN label = '' AND subscriber_id IS NOT NULL THEN 1 END) AS unlabelled,
        count(CASE WHEN method = 'HEAD' THEN 1 END) AS probes,
        count(CASE WHEN subscriber_id IS NULL THEN 1 END) AS erased
    FROM event WHERE issue_id = :issue_id AND kind <> 'resend' GROUP BY rule
    """
)


def _first(kind: str, labelled: str, value: str) -> str:
    return f"min(CASE WHEN kind = '{kind}' AND label {labelled} THEN {value} END)"


# SQLite keeps an instant as a text of 26 characters, which sorts as the instant does; the agent
# behind it is that of the first load, and of several in one instant always the same one, in
# whatever order they were written down.
_AT = "substr(CAST(at AS VARCHAR(40)), 1, 26)"
_LABELS = {"h": "= 'human'", "u": "NOT IN ('human', 'machine')", "m": "= 'machine'"}
_LOADS = ", ".join(
    f"{_first('image_load', of, f'{_AT} || agent')} AS load_{label}"
    for label, of in _LABELS.items()
)
_CLICKS = ", ".join(f"{_first('click', of, _AT)} AS click_{label}" for label, of in _LABELS.items())

MAKE_READERS = text(
    """
    CREATE TEMPORARY TABLE issue_reader (
        subscriber_id INTEGER PRIMARY KEY, is_counted INTEGER NOT NULL,
        load_h TEXT, load_u TEXT, load_m TEXT, click_h TEXT, click_u TEXT, click_m TEXT
    )
    """
)

# Events by the index on (issue_id, kind), sorted by reader; each reader then with the delivery and
# the subscriber by primary key, which are in the same order. Of each kind and label the first.
FILL_READERS = text(
    f"""
    INSERT INTO issue_reader
    SELECT did.subscriber_id,
        CASE WHEN delivery.state IN {_REACHED} AND s.is_tracked THEN 1 ELSE 0 END,
        load_h, load_u, load_m, click_h, click_u, click_m
    FROM (
        SELECT subscriber_id, {_LOADS}, {_CLICKS} FROM event
        WHERE issue_id = :issue_id AND kind IN ('image_load', 'click')
            AND subscriber_id IS NOT NULL AND method <> 'HEAD'
        GROUP BY subscriber_id
    ) AS did
    LEFT JOIN delivery
        ON delivery.issue_id = :issue_id AND delivery.subscriber_id = did.subscriber_id
    LEFT JOIN subscriber s ON s.id = did.subscriber_id
    """  # noqa: S608  (constants of ours, no input; here and below)
)
MAKE_CLICKS = text(
    """
    CREATE TEMPORARY TABLE issue_click (
        link INTEGER NOT NULL, subscriber_id INTEGER NOT NULL, best INTEGER NOT NULL
    )
    """
)

# Clicks by the index on (issue_id, kind), sorted; each reader of a link then by primary key.
FILL_CLICKS = text(
    f"""
    INSERT INTO issue_click
    SELECT followed.link, followed.subscriber_id, followed.best
    FROM (
        SELECT link, subscriber_id, max({_BEST}) AS best FROM event
        WHERE issue_id = :issue_id AND kind = 'click'
            AND subscriber_id IS NOT NULL AND link IS NOT NULL AND method <> 'HEAD'
        GROUP BY link, subscriber_id
    ) AS followed
    JOIN issue_reader ON issue_reader.subscriber_id = followed.subscriber_id
    WHERE issue_reader.is_counted = 1
    """  # noqa: S608
)
DROP = (text("DROP TABLE issue_click"), text("DROP TABLE issue_reader"))


def _by_label(kind: str) -> TextClause:
    """Readers of a kind by their best label; one walk over the readers gathered."""
    return text(
        f"""
        SELECT count(CASE WHEN {kind}_h IS NOT NULL THEN 1 END) AS human,
            count(CASE WHEN {kind}_h IS NULL AND {kind}_u IS NOT NULL THEN 1 END) AS unknown,
            count(CASE WHEN {kind}_h IS NULL AND {kind}_u IS NULL
                AND {kind}_m IS NOT NULL THEN 1 END) AS machine
        FROM issue_reader WHERE is_counted = 1
        """  # noqa: S608
    )


def _by_minute(kind: str) -> TextClause:
    """Readers by the minute of the first of their best label, and that label."""
    return text(
        f"""
        SELECT CASE WHEN {kind}_h IS NOT NULL THEN 3 WHEN {kind}_u IS NOT NULL THEN 2 ELSE 1 END
            AS best,
            substr(coalesce({kind}_h, {kind}_u, {kind}_m), 1, 16) AS minute, count(*) AS readers
        FROM issue_reader
        WHERE is_counted = 1 AND coalesce({kind}_h, {kind}_u, {kind}_m) IS NOT NULL
        GROUP BY 1, 2
        """  # noqa: S608
    )


# One walk over the readers gathered, each.
LABELS = {kind: _by_label(kind) for kind in ("load", "click")}
MINUTES = {kind: _by_minute(kind) for kind in ("load", "click")}
STRAYS = text("SELECT count(*) FROM issue_reader WHERE is_counted = 0")
AGENTS = text(
    """
    SELECT substr(coalesce(load_h, load_u, load_m), 27) AS agent, count(*) AS readers
    FROM issue_reader WHERE is_counted = 1 AND coalesce(load_h, load_u, load_m) IS NOT NULL
    GROUP BY 1
    """
)

# One walk over the clicks gathered, each.
LINK_READERS = text("SELECT link, best, count(*) AS readers FROM issue_click GROUP BY link, best")
READERS_OF_LINKS = text(
    """
    SELECT best, count(*) AS readers FROM (
        SELECT max(best) AS best FROM issue_click WHERE link IN :links GROUP BY subscriber_id
    ) AS followed GROUP BY best
    """
).bindparams(bindparam("links", expanding=True))
LINKS = text("SELECT n, label, url FROM issue_link WHERE issue_id = :issue_id ORDER BY n")

# Through our link by event's index on (issue_id, kind), by the provider's way by the index of who
# left; each with the delivery by primary key.
UNSUBSCRIBED = text(
    f"""
    SELECT count(*) FROM (
        SELECT subscriber_id FROM event
        WHERE issue_id = :issue_id AND kind = 'unsubscribe' AND method <> 'HEAD'
        UNION
        SELECT subscriber_id FROM provider_event
        WHERE issue_id = :issue_id AND kind = 'unsubscribed'
    ) AS gone
    JOIN delivery
        ON delivery.issue_id = :issue_id AND delivery.subscriber_id = gone.subscriber_id
    WHERE delivery.state IN {_REACHED}
    """  # noqa: S608
)

# Votes by their unique index, which begins with the comparison; each with its delivery by primary
# key (a cross join is kept in this order: a million deliveries would each look for votes). A reader
# with one vote that is believed is a voter, whatever else they pressed.
VOTERS = text(
    f"""
    SELECT count(CASE WHEN believed > 0 THEN 1 END) AS voters,
        count(CASE WHEN believed = 0 THEN 1 END) AS suspects
    FROM (
        SELECT count(CASE WHEN vote.suspicion = '' THEN 1 END) AS believed
        FROM vote CROSS JOIN delivery
        WHERE vote.comparison_id IN (
                SELECT comparison_id FROM issue_item WHERE issue_id = :issue_id)
            AND vote.issue_id = :issue_id AND delivery.issue_id = :issue_id
            AND delivery.subscriber_id = vote.subscriber_id AND delivery.state IN {_REACHED}
        GROUP BY vote.subscriber_id
    ) AS voted
    """  # noqa: S608
)
