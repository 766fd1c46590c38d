"""Hits, provider events, votes, figures, webhooks; when a delivery was taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hit_log",
        sa.Column("name", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("read_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hit_log")),
    )
    op.create_table(
        "snapshot",
        sa.Column("name", sqltypes.AutoString(length=40), nullable=False),
        sa.Column("computed_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("is_sealed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_snapshot")),
    )
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("url", sqltypes.AutoString(length=2000), nullable=False),
        sa.Column("secret", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("added_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("added_by", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("removed_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("removed_because", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("sends_addresses", sa.Boolean(), nullable=False),
        sa.Column("failing_since", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("failed_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("held_until", sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
    )
    op.create_table(
        "provider_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider", sqltypes.AutoString(length=24), nullable=False),
        sa.Column("event_id", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("twin", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("kind", sqltypes.AutoString(length=24), nullable=False),
        sa.Column("word", sqltypes.AutoString(length=40), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("received_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=True),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("request_id", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("code", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("detail", sqltypes.AutoString(length=500), nullable=False),
        sa.Column("raw", sqltypes.AutoString(), nullable=False),
        sa.Column("is_waiting", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_provider_event_issue_id_issue")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_provider_event_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_event")),
        sa.UniqueConstraint(
            "provider", "event_id", name=op.f("uq_provider_event_provider_event_id")
        ),
        sa.UniqueConstraint("provider", "twin", name=op.f("uq_provider_event_provider_twin")),
    )
    with op.batch_alter_table("provider_event", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_provider_event_subscriber_id"), ["subscriber_id"], unique=False
        )
        batch_op.create_index(
            "ix_provider_event_waiting",
            ["id"],
            unique=False,
            sqlite_where=sa.text("is_waiting"),
            postgresql_where=sa.text("is_waiting"),
        )
        batch_op.create_index(
            "ix_provider_event_left",
            ["issue_id"],
            unique=False,
            sqlite_where=sa.text("kind = 'unsubscribed'"),
            postgresql_where=sa.text("kind = 'unsubscribed'"),
        )

    op.create_table(
        "to_classify",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("due_at", sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_to_classify_issue_id_issue")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_to_classify_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("issue_id", "subscriber_id", name=op.f("pk_to_classify")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("to_classify", schema=None) as batch_op:
        batch_op.create_index("ix_to_classify_due_at", ["due_at"], unique=False)

    op.create_table(
        "vote",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("comparison_id", sa.Integer(), nullable=False),
        sa.Column("tool", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("visitor", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=True),
        sa.Column("verdict", sqltypes.AutoString(length=4), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("suspicion", sqltypes.AutoString(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"], ["comparison.id"], name=op.f("fk_vote_comparison_id_comparison")
        ),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_vote_issue_id_issue")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_vote_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vote")),
        sa.UniqueConstraint(
            "comparison_id",
            "tool",
            "subscriber_id",
            name=op.f("uq_vote_comparison_id_tool_subscriber_id"),
        ),
    )
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vote_subscriber_id"), ["subscriber_id"], unique=False)
        batch_op.create_index(
            "ix_vote_tally",
            ["comparison_id", "tool", "verdict", "suspicion", "subscriber_id"],
            unique=False,
        )
        batch_op.create_index(
            "uq_vote_visitor",
            ["comparison_id", "tool", "visitor"],
            unique=True,
            sqlite_where=sa.text("visitor <> ''"),
            postgresql_where=sa.text("visitor <> ''"),
        )

    op.create_table(
        "ballot",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("comparison_id", sa.Integer(), nullable=False),
        sa.Column("tool", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("verdict", sqltypes.AutoString(length=4), nullable=False),
        sa.Column("is_hurried", sa.Boolean(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("is_machine", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"], ["comparison.id"], name=op.f("fk_ballot_comparison_id_comparison")
        ),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_ballot_issue_id_issue")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_ballot_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint(
            "subscriber_id",
            "comparison_id",
            "tool",
            "at",
            "verdict",
            "is_hurried",
            name=op.f("pk_ballot"),
        ),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "webhook_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("event", sqltypes.AutoString(length=80), nullable=False),
        sa.Column("kind", sqltypes.AutoString(length=40), nullable=False),
        sa.Column("body", sqltypes.AutoString(), nullable=False),
        sa.Column("state", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("due_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoint.id"],
            name=op.f("fk_webhook_message_endpoint_id_webhook_endpoint"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_message")),
        sa.UniqueConstraint(
            "endpoint_id", "event", name=op.f("uq_webhook_message_endpoint_id_event")
        ),
    )
    op.create_index("ix_webhook_message_due", "webhook_message", ["endpoint_id", "state", "due_at"])
    op.create_table(
        "webhook_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("trouble", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["webhook_message.id"],
            name=op.f("fk_webhook_attempt_message_id_webhook_message"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempt")),
    )
    op.create_index("ix_webhook_attempt_message_id", "webhook_attempt", ["message_id"])
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("submitted_at", sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("delivered_at", sqltypes.UTCDateTime(), nullable=True))

    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("label", sqltypes.AutoString(length=8), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("rule", sqltypes.AutoString(length=24), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("rules", sa.Integer(), server_default="0", nullable=False))
        # What one reader did with one issue; alone, the reader finds all of history.
        batch_op.drop_index(batch_op.f("ix_event_subscriber_id"))
        batch_op.create_index(
            "ix_event_subscriber_id_issue_id", ["subscriber_id", "issue_id"], unique=False
        )

    with op.batch_alter_table("system_mail", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_system_mail_subscriber_id"), ["subscriber_id"], unique=False
        )

    # What came in before there were rules is looked at, too.
    op.execute(
        "INSERT INTO to_classify (issue_id, subscriber_id, due_at)"
        " SELECT issue_id, subscriber_id, max(at) FROM event WHERE issue_id IS NOT NULL"
        " AND subscriber_id IS NOT NULL AND kind <> 'resend' GROUP BY issue_id, subscriber_id"
    )

    # Never a new table in its place: other tables' rows point at this one's.
    with op.batch_alter_table("issue", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column("is_tracked", sa.Boolean(), server_default=sa.true(), nullable=False)
        )
        batch_op.add_column(sa.Column("told_at", sqltypes.UTCDateTime(), nullable=True))

    _ways_to_find_readers()


def downgrade() -> None:
    _no_ways_to_find_readers()

    with op.batch_alter_table("issue", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("told_at")
        batch_op.drop_column("is_tracked")

    with op.batch_alter_table("system_mail", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_system_mail_subscriber_id"))

    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_subscriber_id_issue_id")
        batch_op.create_index(batch_op.f("ix_event_subscriber_id"), ["subscriber_id"], unique=False)
        batch_op.drop_column("rules")
        batch_op.drop_column("rule")
        batch_op.drop_column("label")

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_column("delivered_at")
        batch_op.drop_column("submitted_at")

    op.drop_table("webhook_attempt")
    op.drop_table("webhook_message")
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_vote_visitor",
            sqlite_where=sa.text("visitor <> ''"),
            postgresql_where=sa.text("visitor <> ''"),
        )
        batch_op.drop_index("ix_vote_tally")
        batch_op.drop_index(batch_op.f("ix_vote_subscriber_id"))

    op.drop_table("vote")
    op.drop_table("ballot")
    with op.batch_alter_table("to_classify", schema=None) as batch_op:
        batch_op.drop_index("ix_to_classify_due_at")

    op.drop_table("to_classify")
    with op.batch_alter_table("provider_event", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_provider_event_left",
            sqlite_where=sa.text("kind = 'unsubscribed'"),
            postgresql_where=sa.text("kind = 'unsubscribed'"),
        )
        batch_op.drop_index(
            "ix_provider_event_waiting",
            sqlite_where=sa.text("is_waiting"),
            postgresql_where=sa.text("is_waiting"),
        )
        batch_op.drop_index(batch_op.f("ix_provider_event_subscriber_id"))

    op.drop_table("provider_event")
    op.drop_table("webhook_endpoint")
    op.drop_table("snapshot")
    op.drop_table("hit_log")


_DOMAIN = "substr(address_key, length(rtrim(address_key, replace(address_key, '@', ''))) + 1)"
_COUNTED_BY = ("confirmed_at", "language", "domain")

# What a search looks at, a line each: the address's key, the address where it differs by more than
# capitals, the name.
_WORDS = (
    "{row}.address_key || char(10) || CASE WHEN lower({row}.address) = {row}.address_key THEN ''"
    " ELSE {row}.address END || char(10) || {row}.name"
)
_OLD, _NEW = _WORDS.format(row="old"), _WORDS.format(row="new")
# SQLite's own: every three letters in a row, with who has them, and beside it whose are to be taken
# out or changed. Nothing is done as readers come: a trigger on that would make an import last twice
# as long. The triggers are of the table: a later migration that makes `subscriber` anew has to make
# them anew, too.
_WORDS_OF_READERS = f"""
    CREATE VIEW subscriber_words AS SELECT s.id, {_WORDS.format(row="s")} AS words FROM subscriber s
    """  # noqa: S608
_NOTE_DUE = f"""
    INSERT INTO subscriber_search_due (id, was) VALUES (old.id, {_OLD}) ON CONFLICT DO NOTHING
    """  # noqa: S608
# At once: the index must name nobody who is gone. And an id may be given again.
_TAKE_OUT = f"""
    INSERT INTO subscriber_search (subscriber_search, rowid, words) VALUES ('delete', old.id,
        coalesce((SELECT was FROM subscriber_search_due WHERE id = old.id), {_OLD}));
    DELETE FROM subscriber_search_due WHERE id = old.id;
    UPDATE subscriber_search_read SET last_id = (SELECT coalesce(max(id), 0) FROM subscriber)
    WHERE last_id > (SELECT coalesce(max(id), 0) FROM subscriber)
    """  # noqa: S608
_IS_KNOWN = "old.id <= (SELECT last_id FROM subscriber_search_read)"
_SEARCH = (
    _WORDS_OF_READERS,
    """
    CREATE VIRTUAL TABLE subscriber_search USING fts5(words, content='subscriber_words',
        content_rowid='id', tokenize='trigram', detail=none, columnsize=0)
    """,
    "INSERT INTO subscriber_search (rowid, words) SELECT id, words FROM subscriber_words",
    "CREATE TABLE subscriber_search_due (id INTEGER PRIMARY KEY, was TEXT NOT NULL)",
    "CREATE TABLE subscriber_search_read (last_id INTEGER NOT NULL)",
    "INSERT INTO subscriber_search_read SELECT coalesce(max(id), 0) FROM subscriber",
    f"""
    CREATE TRIGGER subscriber_is_renamed AFTER UPDATE OF address, address_key, name ON subscriber
    WHEN {_OLD} <> {_NEW} AND {_IS_KNOWN} BEGIN {_NOTE_DUE}; END
    """,
    f"""
    CREATE TRIGGER subscriber_goes AFTER DELETE ON subscriber
    WHEN {_IS_KNOWN} BEGIN {_TAKE_OUT}; END
    """,
)
_NO_SEARCH = (
    "DROP TRIGGER subscriber_goes",
    "DROP TRIGGER subscriber_is_renamed",
    "DROP TABLE subscriber_search_read",
    "DROP TABLE subscriber_search_due",
    "DROP TABLE subscriber_search",
    "DROP VIEW subscriber_words",
)


def _ways_to_find_readers() -> None:
    op.add_column(
        "subscriber", sa.Column("domain", sqltypes.AutoString(length=320), sa.Computed(_DOMAIN))
    )
    for column in _COUNTED_BY:
        op.create_index(f"ix_subscriber_{column}_status", "subscriber", [column, "status"])
    if op.get_bind().dialect.name == "sqlite":
        for statement in _SEARCH:
            op.execute(statement)


def _no_ways_to_find_readers() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for statement in _NO_SEARCH:
            op.execute(statement)
    for column in _COUNTED_BY:
        op.drop_index(f"ix_subscriber_{column}_status", "subscriber")
    op.drop_column("subscriber", "domain")
