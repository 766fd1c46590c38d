"""Webhook secrets that end; refusals of a code, and drops for a reason, of a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_IS_REFUSED = "(kind = 'bounced' OR kind = 'invalid' OR kind = 'blocked')"
_IS_DROPPED = "kind = 'dropped'"


def upgrade() -> None:
    op.create_table(
        "old_secret",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("secret", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("ends_at", sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoint.id"],
            name=op.f("fk_old_secret_endpoint_id_webhook_endpoint"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_old_secret")),
    )
    op.create_index("ix_old_secret_endpoint_id", "old_secret", ["endpoint_id"])
    op.add_column(
        "webhook_endpoint",
        sa.Column("id_key", sqltypes.AutoString(length=120), server_default="", nullable=False),
    )
    # Messages keep the ids they have: receivers know by them what they were told already.
    op.execute("UPDATE webhook_endpoint SET id_key = secret")
    op.create_index(
        "ix_provider_event_refused",
        "provider_event",
        ["code", "received_at"],
        sqlite_where=sa.text(_IS_REFUSED),
        postgresql_where=sa.text(_IS_REFUSED),
    )
    op.create_index(
        "ix_provider_event_dropped",
        "provider_event",
        ["detail", "received_at"],
        sqlite_where=sa.text(_IS_DROPPED),
        postgresql_where=sa.text(_IS_DROPPED),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_provider_event_dropped",
        "provider_event",
        sqlite_where=sa.text(_IS_DROPPED),
        postgresql_where=sa.text(_IS_DROPPED),
    )
    op.drop_index(
        "ix_provider_event_refused",
        "provider_event",
        sqlite_where=sa.text(_IS_REFUSED),
        postgresql_where=sa.text(_IS_REFUSED),
    )
    op.drop_column("webhook_endpoint", "id_key")
    op.drop_index("ix_old_secret_endpoint_id", "old_secret")
    op.drop_table("old_secret")
