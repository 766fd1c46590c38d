"""The ledger's SQL, all of it, each statement with the index it stands on.

Plain SQL that SQLite and PostgreSQL both speak. `delivery` is keyed on (issue_id, subscriber_id)
and has an index on (batch_id, state); `batch` is unique on (issue_id, number).
"""

from __future__ import annotations

from sqlalchemy import TextClause, bindparam, text
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.audience import CANDIDATES_SQL


def _timed(sql: str, *names: str) -> TextClause:
    """`sql` whose parameters `names` are aware instants, stored as the models store them."""
    return text(sql).bindparams(*(bindparam(name, type_=UTCDateTime()) for name in names))


# One row by primary key. The compare-and-set that makes freezing happen once.
MARK_FROZEN = _timed(
    "UPDATE issue SET frozen_at = :now WHERE id = :issue_id AND frozen_at IS NULL", "now"
)

# One row by primary key.
ISSUE = text(
    "SELECT week, state, candidates, frozen_at IS NOT NULL AS frozen FROM issue"
    " WHERE id = :issue_id"
)

# One row by primary key: what every proof of this issue has to add up to.
RECORD_CANDIDATES = text("UPDATE issue SET candidates = :candidates WHERE id = :issue_id")

# One pass over the candidates, by the audience's own index.
COUNT_CANDIDATES = text(
    f"""
    SELECT count(*) AS candidates, count(CASE WHEN reason = '' THEN 1 END) AS planned
    FROM ({CANDIDATES_SQL}) AS candidate
    """  # noqa: S608  (a constant of the audience's, no input)
)

INSERT_BATCH = text(
    """
    INSERT INTO batch (issue_id, number, state, owner, epoch)
    VALUES (:issue_id, :number, 'planned', '', 0)
    """
)

# One pass in primary key order, so rows are appended; each finds its batch by (issue_id, number).
# The running count numbers those who get the issue: the first `batch_size` are batch 0, and so on.
INSERT_DELIVERIES = _timed(
    f"""
    INSERT INTO delivery
        (issue_id, subscriber_id, batch_id, state, reason, attempts, changed_at, receipt)
    SELECT :issue_id, numbered.subscriber_id, batch.id,
        CASE WHEN numbered.reason = '' THEN 'planned' ELSE 'excluded' END,
        numbered.reason, 0, :now, ''
    FROM (
        SELECT subscriber_id, reason,
            count(CASE WHEN reason = '' THEN 1 END)
                OVER (ORDER BY subscriber_id ROWS UNBOUNDED PRECEDING) AS place
        FROM ({CANDIDATES_SQL}) AS candidate
    ) AS numbered
    LEFT JOIN batch ON numbered.reason = '' AND batch.issue_id = :issue_id
        AND batch.number = (numbered.place - 1) / :batch_size
    ORDER BY numbered.subscriber_id
    """,  # noqa: S608  (a constant of the audience's, no input)
    "now",
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
# come first, so that one whose readers are deferred again and again holds up nobody else.
OPEN_BATCHES = text(
    """
    SELECT batch.id, batch.number, batch.state, batch.owner, batch.epoch, batch.lease_until
    FROM batch JOIN issue ON issue.id = batch.issue_id
    WHERE batch.issue_id = :issue_id AND batch.state <> 'done' AND issue.state = 'sending'
    ORDER BY batch.epoch, batch.number
    """
).columns(lease_until=UTCDateTime())

# One row by primary key. Whoever changes the epoch first has the batch.
TAKE_BATCH = _timed(
    """
    UPDATE batch SET
        state = 'claimed', owner = :owner, epoch = epoch + 1, lease_until = :lease_until
    WHERE id = :batch_id AND epoch = :epoch AND state = :state
    """,
    "lease_until",
)

# By (batch_id, state): the rows of one batch.
OPEN_DELIVERIES = text(
    """
    SELECT subscriber_id, state FROM delivery
    WHERE batch_id = :batch_id AND state IN ('planned', 'attempting')
    ORDER BY subscriber_id
    """
)

# One row by primary key, in executemany.
EXCLUDE = _timed(
    """
    UPDATE delivery SET state = 'excluded', reason = :reason, changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = 'planned'
    """,
    "now",
)

# By (batch_id, state): the rows of one batch, in one statement.
ATTEMPT = _timed(
    """
    UPDATE delivery SET state = 'attempting', changed_at = :now
    WHERE batch_id = :batch_id AND state = 'planned'
    """,
    "now",
)

# One row by primary key. Nothing changes for an owner whose epoch is over.
HOLD_BATCH = _timed(
    """
    UPDATE batch SET lease_until = :lease_until
    WHERE id = :batch_id AND epoch = :epoch AND owner = :owner AND state = 'claimed'
    """,
    "lease_until",
)

# One row by primary key, in executemany: 1,000 in one transaction.
ANSWER = _timed(
    """
    UPDATE delivery SET state = :state, reason = :reason, receipt = :receipt,
        attempts = attempts + :tried, changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = 'attempting'
    """,
    "now",
)

# The batch by primary key, its rows by (batch_id, state).
CLOSE_BATCH = text(
    """
    UPDATE batch SET owner = '', lease_until = NULL, state = CASE WHEN EXISTS (
        SELECT 1 FROM delivery
        WHERE delivery.batch_id = batch.id AND delivery.state IN ('planned', 'attempting')
    ) THEN 'planned' ELSE 'done' END
    WHERE id = :batch_id
    """
)

# One row by primary key, in executemany.
SETTLE = _timed(
    """
    UPDATE delivery SET state = :state, reason = '', changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = 'uncertain'
    """,
    "now",
)

# The issue's batches by (issue_id, number), their rows by (batch_id, state).
REOPEN_BATCHES = text(
    """
    UPDATE batch SET state = 'planned'
    WHERE issue_id = :issue_id AND state = 'done' AND EXISTS (
        SELECT 1 FROM delivery WHERE delivery.batch_id = batch.id AND delivery.state = 'planned'
    )
    """
)

# The issue's batches by (issue_id, number), their rows counted within (batch_id, state).
COUNT_OPEN = text(
    """
    SELECT count(*) FROM batch JOIN delivery ON delivery.batch_id = batch.id
    WHERE batch.issue_id = :issue_id AND batch.state <> 'done'
        AND delivery.state IN ('planned', 'attempting')
    """
)

# The issue's planned rows, through its part of delivery's primary key.
WITHDRAW = _timed(
    """
    UPDATE delivery SET state = 'excluded', reason = :reason, changed_at = :now
    WHERE issue_id = :issue_id AND state = 'planned'
    """,
    "now",
)

# The same part of the primary key; few rows, or somebody has worse troubles than a scan.
UNCERTAIN = text(
    """
    SELECT delivery.subscriber_id, subscriber.address, delivery.reason
    FROM delivery JOIN subscriber ON subscriber.id = delivery.subscriber_id
    WHERE delivery.issue_id = :issue_id AND delivery.state = 'uncertain'
    ORDER BY delivery.subscriber_id
    """
)
