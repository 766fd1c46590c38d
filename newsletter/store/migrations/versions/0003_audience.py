"""What readers choose, segments, engagement, an audit, mail about our mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("by", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("action", sqltypes.AutoString(length=40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("readers", sa.Integer(), nullable=False),
        sa.Column("undone_by", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "bookmark",
        sa.Column("name", sqltypes.AutoString(length=40), nullable=False),
        sa.Column("last_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bookmark")),
    )
    op.create_table(
        "segment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sqltypes.AutoString(length=60), nullable=False),
        sa.Column("rule", sqltypes.AutoString(), nullable=False),
        sa.Column("saved_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("saved_by", sqltypes.AutoString(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("name", name=op.f("uq_segment_name")),
    )
    op.create_table(
        "address_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("address", sqltypes.AutoString(length=320), nullable=False),
        sa.Column("address_key", sqltypes.AutoString(length=320), nullable=False),
        sa.Column("asked_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("old_agreed_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("new_agreed_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_address_change_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_change")),
    )
    with op.batch_alter_table("address_change", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_address_change_subscriber_id"), ["subscriber_id"], unique=False
        )

    op.create_table(
        "audit_row",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("before", sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.id"], name=op.f("fk_audit_row_entry_id_audit_entry")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_audit_row_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("entry_id", "subscriber_id", name=op.f("pk_audit_row")),
    )
    with op.batch_alter_table("audit_row", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_audit_row_subscriber_id"), ["subscriber_id"], unique=False
        )

    op.create_table(
        "engagement",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("last_human_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("issues_without", sa.Integer(), nullable=False),
        sa.Column("soft_bounces", sa.Integer(), nullable=False),
        sa.Column("soft_bounced_issue", sa.Integer(), nullable=True),
        sa.Column("asked_at", sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_engagement_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_engagement")),
    )
    with op.batch_alter_table("engagement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_engagement_last_human_at"), ["last_human_at"], unique=False
        )

    op.create_table(
        "inbound_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("received_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("kind", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("verdict", sqltypes.AutoString(length=24), nullable=False),
        sa.Column("code", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("reason", sqltypes.AutoString(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=True),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_inbound_report_issue_id_issue")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_inbound_report_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_report")),
        sa.UniqueConstraint("digest", name=op.f("uq_inbound_report_digest")),
    )
    with op.batch_alter_table("inbound_report", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_inbound_report_subscriber_id"), ["subscriber_id"], unique=False
        )

    op.create_table(
        "issue_topic",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("topic", sqltypes.AutoString(length=60), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_issue_topic_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("issue_id", "topic", name=op.f("pk_issue_topic")),
    )
    op.create_table(
        "subscriber_tag",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("tag", sqltypes.AutoString(length=60), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_subscriber_tag_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "tag", name=op.f("pk_subscriber_tag")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("subscriber_tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subscriber_tag_tag"), ["tag"], unique=False)

    op.create_table(
        "subscriber_topic",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("topic", sqltypes.AutoString(length=60), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_subscriber_topic_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "topic", name=op.f("pk_subscriber_topic")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("subscriber_topic", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subscriber_topic_topic"), ["topic"], unique=False)

    with op.batch_alter_table("consent_record", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("version", sqltypes.AutoString(length=40), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("detail", sa.JSON(), server_default="{}", nullable=False))

    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "audience", sqltypes.AutoString(length=80), server_default="all", nullable=False
            )
        )
        batch_op.add_column(
            sa.Column("language", sqltypes.AutoString(length=35), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("silence_counted_at", sqltypes.UTCDateTime(), nullable=True))

    with op.batch_alter_table("approval", schema=None) as batch_op:
        # a segment's rule is longer than its name
        batch_op.alter_column(
            "audience", existing_type=sqltypes.AutoString(length=200), type_=sqltypes.AutoString()
        )

    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("language", sqltypes.AutoString(length=35), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("timezone", sqltypes.AutoString(length=64), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column(
                "frequency", sqltypes.AutoString(length=16), server_default="weekly", nullable=False
            )
        )
        batch_op.add_column(sa.Column("paused_until", sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("is_tracked", sa.Boolean(), server_default=sa.true(), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.drop_column("is_tracked")
        batch_op.drop_column("paused_until")
        batch_op.drop_column("frequency")
        batch_op.drop_column("timezone")
        batch_op.drop_column("language")

    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.drop_column("silence_counted_at")
        batch_op.drop_column("language")
        batch_op.drop_column("audience")

    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.alter_column(
            "audience", existing_type=sqltypes.AutoString(), type_=sqltypes.AutoString(length=200)
        )

    with op.batch_alter_table("consent_record", schema=None) as batch_op:
        batch_op.drop_column("detail")
        batch_op.drop_column("version")

    with op.batch_alter_table("subscriber_topic", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_subscriber_topic_topic"))

    op.drop_table("subscriber_topic")
    with op.batch_alter_table("subscriber_tag", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_subscriber_tag_tag"))

    op.drop_table("subscriber_tag")
    op.drop_table("issue_topic")
    with op.batch_alter_table("inbound_report", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inbound_report_subscriber_id"))

    op.drop_table("inbound_report")
    with op.batch_alter_table("engagement", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_engagement_last_human_at"))

    op.drop_table("engagement")
    with op.batch_alter_table("audit_row", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_row_subscriber_id"))

    op.drop_table("audit_row")
    with op.batch_alter_table("address_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_address_change_subscriber_id"))

    op.drop_table("address_change")
    op.drop_table("segment")
    op.drop_table("bookmark")
    op.drop_table("audit_entry")
