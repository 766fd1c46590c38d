"""The SQL of what providers tell, each statement with the index it stands on.

Plain SQL that SQLite and PostgreSQL both speak. `provider_event` is unique on (provider, event_id)
and (provider, twin), and has an index on its waiting rows; `delivery` is keyed on (issue_id,
subscriber_id). Each statement takes some events at once: a stretch of ids just inserted, or a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BindParameter, TextClause, TextualSelect, bindparam, text
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.store.timed import timed

NAMES: Final = (
    "event_id",
    "twin",
    "kind",
    "word",
    "at",
    "issue_id",
    "subscriber_id",
    "request_id",
    "code",
    "detail",
    "raw",
)

# By primary key: the end of the table.
LAST_ID: Final = text("SELECT coalesce(max(id), 0) FROM provider_event")

# One row, in executemany; the reader looked up by primary key, so that a mark of one who is no more
# (a database restored from before they came) is kept as nobody's. Whichever unique key it meets: it
# is known.
INSERT: Final = text(
    """
    INSERT INTO provider_event (
        provider, event_id, twin, kind, word, at, received_at, issue_id, subscriber_id, request_id,
        code, detail, raw, is_waiting
    )
    VALUES (
        :provider, :event_id, :twin, :kind, :word, :at, :now, :issue_id,
        (SELECT id FROM subscriber WHERE id = :subscriber_id),
        :request_id, :code, :detail, :raw, false
    )
    ON CONFLICT DO NOTHING
    """
).bindparams(bindparam("at", type_=UTCDateTime()), bindparam("now", type_=UTCDateTime()))

# By the index on waiting rows, each with its delivery by primary key.
READY: Final = text(
    """
    SELECT provider_event.id FROM provider_event
    WHERE provider_event.is_waiting AND NOT EXISTS (
        SELECT 1 FROM delivery WHERE delivery.issue_id = provider_event.issue_id
            AND delivery.subscriber_id = provider_event.subscriber_id
            AND delivery.state = 'attempting'
    )
    ORDER BY provider_event.id LIMIT :most
    """
)
NOT_WAITING: Final = text(
    "UPDATE provider_event SET is_waiting = false WHERE id IN :ids"
).bindparams(bindparam("ids", expanding=True))

# By consent_record's index on subscriber_id: whether they left and then agreed again.
CAME_BACK: Final = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM consent_record AS agreed JOIN consent_record AS gone
            ON gone.subscriber_id = agreed.subscriber_id AND gone.id < agreed.id
        WHERE agreed.subscriber_id = :subscriber_id
            AND agreed.action IN ('confirmed', 'returned') AND gone.action = 'unsubscribed'
    )
    """
)

# One row by primary key. The losing case: somebody else settled it since our look, by what they
# were told of, which may weigh more or less; so DELIVERY is looked at anew and decided on again.
# The reason as well: of two refusals the earlier one's stays.
DECIDE: Final = text(
    """
    UPDATE delivery SET state = :state, reason = :reason, changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = :was
        AND reason = :was_reason
    """
).bindparams(bindparam("now", type_=UTCDateTime()))
# One row by primary key.
DELIVERY: Final = text(
    """
    SELECT issue_id, subscriber_id, state, reason FROM delivery
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id
    """
)


@dataclass(frozen=True, slots=True)
class About:
    """The statements about some events at once, by how these are named."""

    concern: TextClause
    wait: TextClause
    doubt: TextClause
    uncertain: TextClause
    requests: TextClause
    to_classify: TextClause
    arrived: TextClause
    move: TextClause
    weighty: TextualSelect

    @classmethod
    def of(cls, named: str) -> About:
        """named: the condition on provider_event's primary key."""
        told = f"""
            SELECT issue_id, subscriber_id,
                min(CASE WHEN kind = 'delivered' THEN at END) AS delivered_at,
                max(CASE WHEN kind = 'deferred' THEN 1 ELSE 0 END) AS is_deferred
            FROM provider_event
            WHERE {named} AND NOT is_waiting AND issue_id IS NOT NULL
                AND subscriber_id IS NOT NULL
            GROUP BY issue_id, subscriber_id
        """  # noqa: S608  (constants of ours, no input; here and below)
        not_of_an_earlier_copy = """
            NOT EXISTS (
                SELECT 1 FROM event WHERE event.subscriber_id = provider_event.subscriber_id
                    AND event.issue_id = provider_event.issue_id AND event.kind = 'resend'
                    AND event.at > provider_event.at
            )
        """
        theirs = "delivery.issue_id = told.issue_id AND delivery.subscriber_id = told.subscriber_id"
        is_out = "delivery.state NOT IN ('planned', 'attempting', 'excluded')"
        is_earlier = (
            "told.delivered_at IS NOT NULL AND (delivery.delivered_at IS NULL"
            " OR delivery.delivered_at > told.delivered_at)"
        )
        may_arrive = (
            "told.delivered_at IS NOT NULL"
            " AND delivery.state IN ('uncertain', 'submitted', 'deferred', 'failed')"
        )
        may_wait = "told.is_deferred = 1 AND delivery.state IN ('uncertain', 'submitted')"
        return cls(
            # One walk over the events by primary key, with delivery, reader and engagement by
            # theirs: hardly any of a thousand is about anything but a message that left as usual,
            # and what none is about needs no statement of its own.
            concern=text(
                f"""
                SELECT
                    max(CASE WHEN delivery.state = 'attempting' THEN 1 ELSE 0 END) AS being_sent,
                    max(CASE WHEN delivery.state = 'planned' AND delivery.attempts > 0
                        THEN 1 ELSE 0 END) AS planned_again,
                    max(CASE WHEN delivery.state = 'uncertain' THEN 1 ELSE 0 END) AS uncertain,
                    max(CASE WHEN subscriber.status = 'erased' THEN 1 ELSE 0 END) AS erased,
                    max(CASE WHEN engagement.soft_bounces > 0 THEN 1 ELSE 0 END) AS refused_before,
                    max(CASE WHEN provider_event.request_id <> '' THEN 1 ELSE 0 END) AS in_requests
                FROM provider_event
                LEFT JOIN delivery ON delivery.issue_id = provider_event.issue_id
                    AND delivery.subscriber_id = provider_event.subscriber_id
                LEFT JOIN subscriber ON subscriber.id = provider_event.subscriber_id
                LEFT JOIN engagement ON engagement.subscriber_id = provider_event.subscriber_id
                WHERE {named}
                """  # noqa: S608
            ),
            # As above.
            wait=text(
                f"""
                UPDATE provider_event SET is_waiting = true
                WHERE {named} AND EXISTS (
                    SELECT 1 FROM delivery WHERE delivery.issue_id = provider_event.issue_id
                        AND delivery.subscriber_id = provider_event.subscriber_id
                        AND delivery.state = 'attempting'
                )
                """  # noqa: S608
            ),
            # As above, each with what an operator did by event's index on subscriber_id: attempted,
            # and planned again because it was settled as not taken. Its provider has it all the
            # same, since the first instant it names: it is uncertain once more, and so settled by
            # what follows in this transaction. What a server put off itself (due_at) goes out
            # again. The losing case: a sender claimed it since; then it is that attempt's answer.
            doubt=text(
                f"""
                UPDATE delivery SET state = 'uncertain', changed_at = CASE
                    WHEN told.at < delivery.changed_at THEN told.at ELSE delivery.changed_at END
                FROM (
                    SELECT issue_id, subscriber_id, min(at) AS at FROM provider_event
                    WHERE {named} AND NOT is_waiting AND issue_id IS NOT NULL
                        AND subscriber_id IS NOT NULL AND {not_of_an_earlier_copy}
                    GROUP BY issue_id, subscriber_id
                ) AS told
                WHERE {theirs} AND delivery.state = 'planned' AND delivery.attempts > 0
                    AND delivery.due_at IS NULL
                """  # noqa: S608
            ),
            # As above: the issues of which something is settled now.
            uncertain=text(
                f"""
                SELECT DISTINCT delivery.issue_id FROM provider_event JOIN delivery
                    ON delivery.issue_id = provider_event.issue_id
                    AND delivery.subscriber_id = provider_event.subscriber_id
                WHERE {named} AND NOT is_waiting AND delivery.state = 'uncertain'
                """  # noqa: S608
            ),
            # The events by primary key, each request by its own: an issue may have thousands.
            requests=text(
                f"""
                SELECT DISTINCT request.id FROM provider_event JOIN request
                    ON request.id = provider_event.request_id
                    AND request.issue_id = provider_event.issue_id
                WHERE {named} AND NOT is_waiting AND provider_event.request_id <> ''
                ORDER BY request.id
                """  # noqa: S608
            ),
            # The events and deliveries by primary key; whether there is anything to classify by
            # event's index on (subscriber_id, issue_id). An event that comes later brings a row of
            # its own.
            to_classify=timed(
                f"""
                INSERT INTO to_classify (issue_id, subscriber_id, due_at)
                SELECT DISTINCT delivery.issue_id, delivery.subscriber_id, :now
                FROM provider_event JOIN delivery
                    ON delivery.issue_id = provider_event.issue_id
                    AND delivery.subscriber_id = provider_event.subscriber_id
                WHERE {named} AND NOT is_waiting AND {is_out}
                    AND (delivery.state = 'uncertain' OR (provider_event.kind = 'delivered'
                        AND (delivery.delivered_at IS NULL
                            OR delivery.delivered_at > provider_event.at)))
                    AND EXISTS (
                        SELECT 1 FROM event WHERE event.subscriber_id = delivery.subscriber_id
                            AND event.issue_id = delivery.issue_id
                    )
                ON CONFLICT (issue_id, subscriber_id) DO NOTHING
                """,  # noqa: S608
                "now",
            ),
            # The events and engagement by primary key: those for whom a row of soft bounces may
            # have ended.
            arrived=text(
                f"""
                SELECT DISTINCT engagement.subscriber_id FROM provider_event JOIN engagement
                    ON engagement.subscriber_id = provider_event.subscriber_id
                WHERE {named} AND NOT is_waiting AND kind = 'delivered'
                    AND provider_event.issue_id IS NOT NULL AND engagement.soft_bounces > 0
                """  # noqa: S608
            ),
            # Deliveries by primary key. Each value only ever moves one way (a later state, an
            # earlier instant), so any order and any repetition of events ends the same.
            move=timed(
                f"""
                UPDATE delivery SET
                    submitted_at = CASE WHEN delivery.state = 'uncertain'
                        THEN delivery.changed_at ELSE delivery.submitted_at END,
                    delivered_at = CASE WHEN {is_earlier}
                        THEN told.delivered_at ELSE delivery.delivered_at END,
                    reason = CASE WHEN ({may_arrive}) OR ({may_wait}) THEN ''
                        WHEN delivery.state = 'uncertain' THEN :proven
                        ELSE delivery.reason END,
                    changed_at = CASE
                        WHEN ({may_arrive}) OR ({may_wait}) OR delivery.state = 'uncertain'
                        THEN :now ELSE delivery.changed_at END,
                    state = CASE WHEN {may_arrive} THEN 'delivered'
                        WHEN {may_wait} THEN 'deferred'
                        WHEN delivery.state = 'uncertain' THEN 'submitted'
                        ELSE delivery.state END
                FROM ({told}) AS told
                WHERE {theirs} AND {is_out} AND (delivery.state = 'uncertain'
                    OR ({is_earlier}) OR ({may_arrive}) OR ({may_wait}))
                """,  # noqa: S608
                "now",
            ),
            # The events by primary key, each with its delivery by primary key.
            weighty=text(
                f"""
                SELECT id, event_id, provider_event.issue_id, provider_event.subscriber_id, kind,
                    at, code, detail, delivery.state, delivery.reason,
                    coalesce(delivery.submitted_at, delivery.changed_at) AS sent_at
                FROM provider_event LEFT JOIN delivery
                    ON delivery.issue_id = provider_event.issue_id
                    AND delivery.subscriber_id = provider_event.subscriber_id
                WHERE {named} AND NOT is_waiting AND provider_event.subscriber_id IS NOT NULL
                    AND kind IN (
                    'complained', 'unsubscribed', 'bounced', 'invalid', 'blocked', 'dropped')
                """  # noqa: S608
            ).columns(at=UTCDateTime(), sent_at=UTCDateTime()),
        )

    def of_a_list(self) -> About:
        """The same, whose parameter `ids` is a list."""
        ids: BindParameter[int] = bindparam("ids", expanding=True)
        return About(
            concern=self.concern.bindparams(ids),
            wait=self.wait.bindparams(ids),
            doubt=self.doubt.bindparams(ids),
            uncertain=self.uncertain.bindparams(ids),
            requests=self.requests.bindparams(ids),
            to_classify=self.to_classify.bindparams(ids),
            arrived=self.arrived.bindparams(ids),
            move=self.move.bindparams(ids),
            weighty=self.weighty.bindparams(ids),
        )


JUST_TOLD: Final = About.of("provider_event.id > :after AND provider_event.id <= :last")
LISTED: Final = About.of("provider_event.id IN :ids").of_a_list()
