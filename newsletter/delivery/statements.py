"""The ledger's SQL, all of it, each statement with the index it stands on.

Plain SQL that SQLite and PostgreSQL both speak. `delivery` is keyed on (issue_id, subscriber_id)
and has an index on batch_id (not on its state, which every message changes twice); `batch` is
unique on (issue_id, number).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import TextClause, insert, text
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.store.models import Request
from newsletter.store.timed import timed
from subscribers import audience
from subscribers.audience import (
    CANDIDATES_SQL,
    COUNT_CANDIDATES_SQL,
    REASON_SQL,
    SUPPRESSION_SQL,
)

# One row by primary key. The compare-and-set that makes freezing happen once.
MARK_FROZEN = timed(
    "UPDATE issue SET frozen_at = :now WHERE id = :issue_id AND frozen_at IS NULL", "now"
)

# One row by primary key.
ISSUE = text(
    "SELECT week, state, candidates, corrects_id, audience, frozen_at IS NOT NULL AS frozen"
    " FROM issue WHERE id = :issue_id"
)

# One row by primary key: what readers who chose a language must have chosen.
RECORD_LANGUAGE = text("UPDATE issue SET language = :language WHERE id = :issue_id")

# By primary key: a few rows an issue.
TOPICS_SQL = "SELECT topic FROM issue_topic WHERE issue_id = :issue_id"
HAS_TOPICS = text(f"SELECT EXISTS ({TOPICS_SQL})")
# Those who chose a topic of the issue by the index on the topic, once, as a set; then one walk over
# all who chose any.
NONE_OF_THEIRS = audience.none_of_theirs(TOPICS_SQL)

# One row by primary key: what every proof of this issue has to add up to.
RECORD_CANDIDATES = text("UPDATE issue SET candidates = :candidates WHERE id = :issue_id")

# Of a correction: those who may have got what it corrects. By the primary key of `delivery`.
_CORRECTED_SQL = f"""
    SELECT candidate.subscriber_id, candidate.reason
    FROM ({CANDIDATES_SQL}) AS candidate JOIN delivery AS got
        ON got.issue_id = :corrects_id AND got.subscriber_id = candidate.subscriber_id
        AND got.state IN ('submitted', 'delivered', 'deferred', 'complained', 'uncertain')
    """  # noqa: S608  (a constant of the audience's, no input)


@dataclass(frozen=True, slots=True)
class Freezing:
    """The statements that write down an audience, for one way of choosing its candidates.

    Each walks the candidates once, by the audience's own index. Ranks from a window function, and
    a join of each row with its batch, would take twice as long as going batch by batch.
    """

    count: TextClause
    next_batch: TextClause
    fill_batch: TextClause

    @classmethod
    def of(cls, candidates: str, count: str) -> Freezing:
        """candidates: a query of (subscriber_id, reason), reason '' for those who get it.

        count: one of how many they are.
        """
        return cls(
            count=text(count),
            # The next `batch_size` of those who get it: how many, and the last of them.
            next_batch=text(
                f"""
                SELECT count(*) AS size, max(subscriber_id) AS last_id FROM (
                    SELECT subscriber_id FROM ({candidates}) AS candidate
                    WHERE reason = '' AND subscriber_id > :after_id
                    ORDER BY subscriber_id LIMIT :batch_size
                ) AS of_batch
                """  # noqa: S608  (constants of ours, no input; here and above and below)
            ),
            # In primary key order, so rows are appended; the excluded among them have no batch.
            fill_batch=timed(
                f"""
                INSERT INTO delivery (
                    issue_id, subscriber_id, batch_id, state, reason, attempts, changed_at, receipt
                )
                SELECT :issue_id, subscriber_id, CASE WHEN reason = '' THEN :batch_id END,
                    CASE WHEN reason = '' THEN 'planned' ELSE 'excluded' END, reason, 0, :now, ''
                FROM ({candidates}) AS candidate
                WHERE subscriber_id > :after_id AND subscriber_id <= :last_id
                ORDER BY subscriber_id
                """,  # noqa: S608
                "now",
            ),
        )


FREEZE_EVERYBODY = Freezing.of(audience.candidates_sql(some_left_out=False), COUNT_CANDIDATES_SQL)
# With one look-up more a reader, by primary key, in a table of those the issue leaves out.
FREEZE_BUT_LEFT_OUT = Freezing.of(audience.candidates_sql(some_left_out=True), COUNT_CANDIDATES_SQL)
FREEZE_CORRECTED = Freezing.of(
    _CORRECTED_SQL,
    f"SELECT count(*) FROM ({_CORRECTED_SQL}) AS candidate",  # noqa: S608
)

# One row by (issue_id, number).
INSERT_BATCH = text(
    """
    INSERT INTO batch (issue_id, number, state, owner, epoch)
    VALUES (:issue_id, :number, 'planned', '', 0) RETURNING id
    """
)

# One pass over the issue's part of the primary key.
COUNT_FROZEN = text(
    """
    SELECT count(*) AS candidates,
        count(CASE WHEN state = 'planned' AND reason = '' THEN batch_id END) AS planned,
        count(CASE WHEN state = 'excluded' AND reason <> '' AND batch_id IS NULL THEN 1 END)
            AS excluded
    FROM delivery WHERE issue_id = :issue_id
    """
)

# The issue's batches by (issue_id, number): a thousand for a million readers. Batches tried least
# come first, so that one whose readers are deferred again and again holds up nobody else. Of a
# cancelled issue: those a sender had in hand, whose deliveries are still to be accounted for.
OPEN_BATCHES = timed(
    """
    SELECT batch.id, batch.number, batch.state, batch.owner, batch.epoch, batch.lease_until,
        issue.language, issue.corrects_id IS NOT NULL AS corrects
    FROM batch JOIN issue ON issue.id = batch.issue_id
    WHERE batch.issue_id = :issue_id AND batch.state <> 'done'
        AND (issue.state = 'sending' OR (issue.state = 'cancelled' AND batch.state = 'claimed'))
        AND (batch.due_at IS NULL OR batch.due_at <= :now OR batch.state = 'claimed')
    ORDER BY batch.epoch, batch.number
    """,
    "now",
).columns(lease_until=UTCDateTime())

# The same batches: when the first of those that wait for a time is due, and how many wait for one.
NEXT_DUE = timed(
    """
    SELECT min(batch.due_at) AS due_at, count(delivery.subscriber_id) AS waiting
    FROM batch JOIN delivery ON delivery.batch_id = batch.id AND delivery.state = 'planned'
    WHERE batch.issue_id = :issue_id AND batch.state = 'planned' AND batch.due_at > :now
    """,
    "now",
).columns(due_at=UTCDateTime())

# One row by primary key. Whoever changes the epoch first has the batch.
TAKE_BATCH = timed(
    """
    UPDATE batch SET
        state = 'claimed', owner = :owner, epoch = epoch + 1, lease_until = :lease_until
    WHERE id = :batch_id AND epoch = :epoch AND state = :state
    """,
    "lease_until",
)


def _open_deliveries(reason: str) -> TextClause:
    return timed(
        f"""
        SELECT delivery.subscriber_id, delivery.state, delivery.attempts, s.address, s.name,
            s.is_tracked, {reason} AS against
        FROM delivery LEFT JOIN subscriber s ON s.id = delivery.subscriber_id {SUPPRESSION_SQL}
        WHERE delivery.batch_id = :batch_id AND (delivery.state = 'attempting' OR (
            delivery.state = 'planned' AND (delivery.due_at IS NULL OR delivery.due_at <= :now)))
        ORDER BY delivery.subscriber_id
        """,  # noqa: S608  (constants of the audience's, no input)
        "now",
    )


# By batch_id: the rows of one batch that are due, or were attempted; each with its reader by
# primary key, and with what stands against writing to them now. What they chose since the freeze
# counts, but for a correction: that goes to who got the error, whatever they chose.
OPEN_DELIVERIES = _open_deliveries(audience.reason_for(TOPICS_SQL))
OPEN_CORRECTIONS = _open_deliveries(REASON_SQL)

# One row by primary key, in executemany.
EXCLUDE = timed(
    """
    UPDATE delivery SET state = 'excluded', reason = :reason, changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = 'planned'
    """,
    "now",
)

# By batch_id: the rows of one batch, in one statement.
ATTEMPT = timed(
    """
    UPDATE delivery SET state = 'attempting', changed_at = :now
    WHERE batch_id = :batch_id AND state = 'planned' AND (due_at IS NULL OR due_at <= :now)
    """,
    "now",
)

# One row by primary key. Nothing changes for an owner whose epoch is over.
HOLD_BATCH = timed(
    """
    UPDATE batch SET lease_until = :lease_until
    WHERE id = :batch_id AND epoch = :epoch AND owner = :owner AND state = 'claimed'
    """,
    "lease_until",
)

# One row by primary key, in executemany: 1,000 in one transaction. Where nobody knows when it was
# taken, it is dated to its claim, which `changed_at` still says; and that of an uncertain one goes
# on saying when it was attempted, for whatever proves later that it was taken.
ANSWER = timed(
    """
    UPDATE delivery SET state = :state, reason = :reason, receipt = :receipt,
        attempts = attempts + :tried, due_at = :due_at,
        changed_at = CASE WHEN :state = 'uncertain' THEN coalesce(:at, changed_at) ELSE :now END,
        submitted_at = CASE WHEN :state = 'submitted' THEN coalesce(:at, changed_at)
            ELSE submitted_at END
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = 'attempting'
    """,
    "now",
    "due_at",
    "at",
)

# The batch by primary key, its rows by batch_id. It is due when the first of them is: at
# once where one waits for no time.
CLOSE_BATCH = text(
    """
    UPDATE batch SET owner = '', lease_until = NULL, state = CASE WHEN EXISTS (
        SELECT 1 FROM delivery
        WHERE delivery.batch_id = batch.id AND delivery.state IN ('planned', 'attempting')
    ) THEN 'planned' ELSE 'done' END, due_at = CASE WHEN EXISTS (
        SELECT 1 FROM delivery
        WHERE delivery.batch_id = batch.id AND delivery.state = 'planned'
            AND delivery.due_at IS NULL
    ) THEN NULL ELSE (
        SELECT min(delivery.due_at) FROM delivery
        WHERE delivery.batch_id = batch.id AND delivery.state = 'planned'
    ) END
    WHERE id = :batch_id
    """
)

INSERT_REQUEST = insert(Request)

# By batch_id: a request is needed only as long as it may still settle somebody.
FORGET_REQUESTS = text(
    """
    DELETE FROM request WHERE batch_id = :batch_id AND NOT EXISTS (
        SELECT 1 FROM delivery
        WHERE delivery.batch_id = request.batch_id AND delivery.state IN ('uncertain', 'attempting')
    )
    """
)

# One row by primary key, in executemany. It was taken when it was attempted, the last time.
SETTLE = timed(
    """
    UPDATE delivery SET state = :state, reason = '', changed_at = :now, due_at = NULL,
        submitted_at = CASE WHEN :state = 'submitted' THEN changed_at ELSE submitted_at END
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = 'uncertain'
    """,
    "now",
)


def _look_again(which: str) -> TextClause:
    return timed(
        f"""
        INSERT INTO to_classify (issue_id, subscriber_id, due_at)
        SELECT delivery.issue_id, delivery.subscriber_id, :now FROM delivery
        WHERE {which} AND delivery.state = 'submitted' AND EXISTS (
            SELECT 1 FROM event WHERE event.subscriber_id = delivery.subscriber_id
                AND event.issue_id + 0 = delivery.issue_id
        )
        ON CONFLICT (issue_id, subscriber_id) DO NOTHING
        """,  # noqa: S608  (constants of ours, no input)
        "now",
    )


# Whose events may have got a label before it was written down when their mail left. The rows of one
# batch by batch_id, or one by primary key, in executemany; events by their index on subscriber_id.
LOOK_AGAIN_BATCH = _look_again("delivery.batch_id = :batch_id")
LOOK_AGAIN = _look_again(
    "delivery.issue_id = :issue_id AND delivery.subscriber_id = :subscriber_id"
)

# The issue's batches by (issue_id, number), their rows by batch_id.
REOPEN_BATCHES = text(
    """
    UPDATE batch SET state = 'planned', due_at = NULL
    WHERE issue_id = :issue_id AND state <> 'claimed' AND EXISTS (
        SELECT 1 FROM delivery
        WHERE delivery.batch_id = batch.id AND delivery.state = 'planned'
            AND delivery.due_at IS NULL
    )
    """
)

# One pass over the issue's part of delivery's primary key.
COUNT_OPEN = text(
    """
    SELECT count(*) FROM delivery
    WHERE issue_id = :issue_id AND state IN ('planned', 'attempting')
    """
)

# The same pass, until the first.
IS_OPEN = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM delivery
        WHERE issue_id = :issue_id AND state IN ('planned', 'attempting', 'uncertain')
    )
    """
)

# The issue's planned rows, through its part of delivery's primary key.
WITHDRAW = timed(
    """
    UPDATE delivery SET state = 'excluded', reason = :reason, changed_at = :now
    WHERE issue_id = :issue_id AND state = 'planned'
    """,
    "now",
)

# By batch_id: the same of one batch.
WITHDRAW_BATCH = timed(
    """
    UPDATE delivery SET state = 'excluded', reason = :reason, changed_at = :now
    WHERE batch_id = :batch_id AND state = 'planned'
    """,
    "now",
)

# The cancelled issues and their batches by (issue_id, number).
LEFT_BEHIND = text(
    """
    SELECT DISTINCT issue.id FROM issue JOIN batch ON batch.issue_id = issue.id
    WHERE issue.state = 'cancelled' AND batch.state = 'claimed' ORDER BY issue.id
    """
)

# The issue's part of delivery's primary key; few rows, or somebody has worse troubles than a scan.
UNCERTAIN = text(
    """
    SELECT delivery.subscriber_id, subscriber.address, delivery.reason
    FROM delivery JOIN subscriber ON subscriber.id = delivery.subscriber_id
    WHERE delivery.issue_id = :issue_id AND delivery.state = 'uncertain'
    ORDER BY delivery.subscriber_id
    """
)
