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
            "uq_vote_visitor",
            ["comparison_id", "tool", "visitor"],
            unique=True,
            sqlite_where=sa.text("visitor <> ''"),
            postgresql_where=sa.text("visitor <> ''"),
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
    with op.batch_alter_table("webhook_message", schema=None) as batch_op:
        batch_op.create_index("ix_webhook_message_state_due_at", ["state", "due_at"], unique=False)

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
    with op.batch_alter_table("webhook_attempt", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_webhook_attempt_message_id"), ["message_id"], unique=False
        )

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

    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("is_tracked", sa.Boolean(), server_default=sa.true(), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.drop_column("is_tracked")

    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_column("rules")
        batch_op.drop_column("rule")
        batch_op.drop_column("label")

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_column("delivered_at")
        batch_op.drop_column("submitted_at")

    with op.batch_alter_table("webhook_attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_attempt_message_id"))

    op.drop_table("webhook_attempt")
    with op.batch_alter_table("webhook_message", schema=None) as batch_op:
        batch_op.drop_index("ix_webhook_message_state_due_at")

    op.drop_table("webhook_message")
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_vote_visitor",
            sqlite_where=sa.text("visitor <> ''"),
            postgresql_where=sa.text("visitor <> ''"),
        )
        batch_op.drop_index(batch_op.f("ix_vote_subscriber_id"))

    op.drop_table("vote")
    with op.batch_alter_table("to_classify", schema=None) as batch_op:
        batch_op.drop_index("ix_to_classify_due_at")

    op.drop_table("to_classify")
    with op.batch_alter_table("provider_event", schema=None) as batch_op:
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
