"""The SQL of an issue's figures, all of it, each statement with the index it stands on.

Plain SQL that SQLite and PostgreSQL both speak. What an issue's readers did is gathered once into
tables of this connection's own, a row a reader, and counted from there: walking millions of events
again for every figure would take ten times as long. HEAD requests are of machines and count
nowhere; `resend` is an operator's word and no reader's.

SQLite sorts for every GROUP BY, and compares fast by the first column alone: that is the one which
tells most rows apart. It works out what an expression is made of once more, so that a subscriber's
domain, itself worked out, stands by itself.
"""

from __future__ import annotations

from sqlalchemy import bindparam, text
from sqlmodel.sql.sqltypes import UTCDateTime

# The provider took it, and no mailbox is known to have refused it.
REACHED = ("submitted", "delivered", "deferred", "complained")
_REACHED = "('submitted', 'delivered', 'deferred', 'complained')"

# The part of delivery's primary key, twice; those who were not excluded with their reader
# by primary key. Of the excluded no domain is asked for: they are thousands of groups nobody looks
# at. The erased have none, their key is a mark, and nobody tracks them.
AUDIENCE = text(
    """
    SELECT state, reason, '' AS domain, 0 AS is_tracked, count(*) AS readers,
        count(delivered_at) AS told, min(submitted_at) AS first_at
    FROM delivery WHERE issue_id = :issue_id AND state = 'excluded' GROUP BY state, reason
    UNION ALL
    SELECT delivery.state, '', s.domain, CASE WHEN s.is_tracked THEN 1 ELSE 0 END,
        count(*), count(delivery.delivered_at), min(delivery.submitted_at)
    FROM delivery
    LEFT JOIN subscriber s ON s.id = delivery.subscriber_id AND s.status <> 'erased'
    WHERE delivery.issue_id = :issue_id AND delivery.state <> 'excluded'
    GROUP BY s.domain, delivery.state, s.is_tracked
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


# A reader's events of a kind come down to the least of these texts: the best label, of that the
# first instant, of several loads in one instant always the same agent, in whatever order they were
# written down. SQLite keeps an instant as a text of 26 characters, which sorts as the instant does.
HUMAN, UNKNOWN, MACHINE = "1", "2", "3"
_LABEL = (
    f"CASE label WHEN 'human' THEN '{HUMAN}' WHEN 'machine' THEN '{MACHINE}' ELSE '{UNKNOWN}' END"
)
_FIRST = f"{_LABEL} || substr(CAST(at AS VARCHAR(40)), 1, 26)"

MAKE = (
    text(
        """
        CREATE TEMPORARY TABLE issue_load (
            subscriber_id INTEGER NOT NULL, is_counted INTEGER NOT NULL, first TEXT NOT NULL
        )
        """
    ),
    text(
        """
        CREATE TEMPORARY TABLE issue_click (
            subscriber_id INTEGER NOT NULL, is_counted INTEGER NOT NULL, first TEXT NOT NULL,
            link INTEGER
        )
        """
    ),
)
DROP = (text("DROP TABLE issue_click"), text("DROP TABLE issue_load"))

# Who counts: whom the issue reached and who is tracked. By primary keys, which are in the order in
# which readers come out of the sort.
_IS_COUNTED = f"CASE WHEN delivery.state IN {_REACHED} AND s.is_tracked THEN 1 ELSE 0 END"
_WITH_READER = """
    LEFT JOIN delivery
        ON delivery.issue_id = :issue_id AND delivery.subscriber_id = did.subscriber_id
    LEFT JOIN subscriber s ON s.id = did.subscriber_id
    """

# Each: events of a kind by the index on (issue_id, kind), sorted by reader.
FILL = (
    text(
        f"""
        INSERT INTO issue_load
        SELECT did.subscriber_id, {_IS_COUNTED}, did.first
        FROM (
            SELECT subscriber_id, min({_FIRST} || agent) AS first FROM event
            WHERE issue_id = :issue_id AND kind = 'image_load'
                AND subscriber_id IS NOT NULL AND method <> 'HEAD'
            GROUP BY subscriber_id
        ) AS did {_WITH_READER}
        """  # noqa: S608  (constants of ours, no input; here and below)
    ),
    text(
        f"""
        INSERT INTO issue_click
        SELECT did.subscriber_id, {_IS_COUNTED}, did.first, did.link
        FROM (
            SELECT subscriber_id, link, min({_FIRST}) AS first FROM event
            WHERE issue_id = :issue_id AND kind = 'click'
                AND subscriber_id IS NOT NULL AND method <> 'HEAD'
            GROUP BY subscriber_id, link
        ) AS did {_WITH_READER}
        """  # noqa: S608
    ),
)

# Readers by their best label and the minute of its first, as one text. One walk over what was
# gathered, each; here and below.
LOAD_MINUTES = text(
    """
    SELECT substr(first, 1, 17) AS minute, count(*) AS readers
    FROM issue_load WHERE is_counted = 1 GROUP BY 1
    """
)
CLICK_MINUTES = text(
    """
    SELECT substr(first, 1, 17) AS minute, count(*) AS readers FROM (
        SELECT min(first) AS first FROM issue_click WHERE is_counted = 1 GROUP BY subscriber_id
    ) AS clicked GROUP BY 1
    """
)
AGENTS = text(
    """
    SELECT substr(first, 28) AS agent, count(*) AS readers
    FROM issue_load WHERE is_counted = 1 GROUP BY 1
    """
)
STRAYS = text(
    """
    SELECT count(*) FROM (
        SELECT subscriber_id FROM issue_load WHERE is_counted = 0
        UNION SELECT subscriber_id FROM issue_click WHERE is_counted = 0
    ) AS strays
    """
)
LINK_READERS = text(
    """
    SELECT link, substr(first, 1, 1) AS best, count(*) AS readers
    FROM issue_click WHERE is_counted = 1 AND link IS NOT NULL GROUP BY 1, 2
    """
)
READERS_OF_LINKS = text(
    """
    SELECT substr(first, 1, 1) AS best, count(*) AS readers FROM (
        SELECT min(first) AS first FROM issue_click
        WHERE is_counted = 1 AND link IN :links GROUP BY subscriber_id
    ) AS followed GROUP BY 1
    """
).bindparams(bindparam("links", expanding=True))
LINKS = text(
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
