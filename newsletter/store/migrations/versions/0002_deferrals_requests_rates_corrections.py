"""Deferrals with a time, requests on record, rates over all processes, corrections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_scope",
        sa.Column("scope", sqltypes.AutoString(length=255), nullable=False),
        sa.Column("free_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_rate_scope")),
    )
    op.create_table(
        "rate_slot",
        sa.Column("scope", sqltypes.AutoString(length=255), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "starts_at", name=op.f("pk_rate_slot")),
    )
    op.create_table(
        "pace",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("owner", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("seen_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("per_second", sa.Float(), nullable=False),
        sa.Column("limited_by", sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_pace_issue_id_issue")),
        sa.PrimaryKeyConstraint("issue_id", "owner", name=op.f("pk_pace")),
    )
    op.create_table(
        "request",
        sa.Column("id", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("made_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("subscriber_ids", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_request_batch_id_batch")),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_request_issue_id_issue")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
    )
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_request_batch_id"), ["batch_id"], unique=False)

    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.add_column(sa.Column("due_at", sqltypes.UTCDateTime(), nullable=True))

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("due_at", sqltypes.UTCDateTime(), nullable=True))
        batch_op.drop_index(batch_op.f("ix_delivery_batch_id_state"))
        batch_op.drop_index(batch_op.f("ix_delivery_subscriber_id"))
        batch_op.create_index("ix_delivery_batch_id", ["batch_id"], unique=False)

    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.add_column(sa.Column("corrects_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.drop_column("corrects_id")

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_batch_id")
        batch_op.create_index(
            batch_op.f("ix_delivery_subscriber_id"), ["subscriber_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_delivery_batch_id_state"), ["batch_id", "state"], unique=False
        )
        batch_op.drop_column("due_at")

    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.drop_column("due_at")

    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_request_batch_id"))

    op.drop_table("request")
    op.drop_table("pace")
    op.drop_table("rate_slot")
    op.drop_table("rate_scope")
