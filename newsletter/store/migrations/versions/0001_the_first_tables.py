"""the first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comparison",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("state", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("sample", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("finished_at", sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison")),
        sa.UniqueConstraint("slug", name=op.f("uq_comparison_slug")),
    )
    op.create_table(
        "issue",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("week", sqltypes.AutoString(length=8), nullable=False),
        sa.Column("slot_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("state", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("reason", sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqltypes.AutoString(), nullable=True),
        sa.Column("preheader", sqltypes.AutoString(), nullable=True),
        sa.Column("intro", sqltypes.AutoString(), nullable=True),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("samples", sa.Boolean(), nullable=False),
        sa.Column("rendered_id", sa.Integer(), nullable=True),
        sa.Column("planned_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=True),
        sa.Column("frozen_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("done_at", sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issue")),
        sa.UniqueConstraint("kind", "week", name=op.f("uq_issue_kind_week")),
    )
    op.create_table(
        "subscriber",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sqltypes.AutoString(length=320), nullable=False),
        sa.Column("address_key", sqltypes.AutoString(length=320), nullable=False),
        sa.Column("name", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("status", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("created_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("confirmed_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("unsubscribed_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("confirmations_sent", sa.Integer(), nullable=False),
        sa.Column("confirmation_sent_at", sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber")),
        sa.UniqueConstraint("address_key", name=op.f("uq_subscriber_address_key")),
    )
    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.create_index("ix_subscriber_status_id", ["status", "id"], unique=False)

    op.create_table(
        "suppression",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address_key", sqltypes.AutoString(length=320), nullable=False),
        sa.Column("reason", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("detail", sqltypes.AutoString(), nullable=False),
        sa.Column("lifted_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("lifted_because", sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("address_key <> ''", name=op.f("ck_suppression_address_key_given")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
    )
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_suppression_address_key"), ["address_key"], unique=False
        )
        batch_op.create_index(
            "uq_suppression_address_key_standing",
            ["address_key"],
            unique=True,
            sqlite_where=sa.text("lifted_at IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL"),
        )

    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("audience", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("by", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("voided_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("void_reason", sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_approval_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_issue_id"), ["issue_id"], unique=False)

    op.create_table(
        "batch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("owner", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_batch_issue_id_issue")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("issue_id", "number", name=op.f("uq_batch_issue_id_number")),
    )
    op.create_table(
        "comparison_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("comparison_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("imported_at", sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparison.id"],
            name=op.f("fk_comparison_revision_comparison_id_comparison"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison_revision")),
        sa.UniqueConstraint(
            "comparison_id", "number", name=op.f("uq_comparison_revision_comparison_id_number")
        ),
    )
    op.create_table(
        "consent_record",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("action", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("source", sqltypes.AutoString(length=200), nullable=False),
        sa.Column("wording", sqltypes.AutoString(), nullable=False),
        sa.Column("given_on", sqltypes.AutoString(length=40), nullable=False),
        sa.Column("network", sqltypes.AutoString(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_consent_record_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_record")),
    )
    with op.batch_alter_table("consent_record", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_consent_record_subscriber_id"), ["subscriber_id"], unique=False
        )

    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=True),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("kind", sqltypes.AutoString(length=24), nullable=False),
        sa.Column("link", sa.Integer(), nullable=True),
        sa.Column("at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("method", sqltypes.AutoString(length=8), nullable=False),
        sa.Column("agent", sqltypes.AutoString(length=300), nullable=False),
        sa.Column("network", sqltypes.AutoString(length=64), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_event_issue_id_issue")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_event_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_issue_id_kind", ["issue_id", "kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_subscriber_id"), ["subscriber_id"], unique=False)

    op.create_table(
        "issue_item",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("comparison_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparison.id"],
            name=op.f("fk_issue_item_comparison_id_comparison"),
        ),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_issue_item_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("issue_id", "position", name=op.f("pk_issue_item")),
        sa.UniqueConstraint(
            "issue_id", "comparison_id", name=op.f("uq_issue_item_issue_id_comparison_id")
        ),
    )
    with op.batch_alter_table("issue_item", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_issue_item_comparison_id"), ["comparison_id"], unique=False
        )

    op.create_table(
        "issue_link",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("url", sqltypes.AutoString(), nullable=False),
        sa.Column("label", sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_issue_link_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("issue_id", "n", name=op.f("pk_issue_link")),
    )
    op.create_table(
        "rendered",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("variant", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("sha256", sqltypes.AutoString(length=64), nullable=False),
        sa.Column("subject", sqltypes.AutoString(), nullable=False),
        sa.Column("preheader", sqltypes.AutoString(), nullable=False),
        sa.Column("html", sqltypes.AutoString(), nullable=False),
        sa.Column("text", sqltypes.AutoString(), nullable=False),
        sa.Column("mjml", sqltypes.AutoString(), nullable=False),
        sa.Column("links", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("rendered_at", sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_rendered_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rendered")),
    )
    with op.batch_alter_table("rendered", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rendered_issue_id"), ["issue_id"], unique=False)

    op.create_table(
        "slot",
        sa.Column("kind", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("slot_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("week", sqltypes.AutoString(length=8), nullable=False),
        sa.Column("outcome", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=True),
        sa.Column("claimed_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("note", sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_slot_issue_id_issue")),
        sa.PrimaryKeyConstraint("kind", "slot_at", name=op.f("pk_slot")),
    )
    op.create_table(
        "system_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sqltypes.AutoString(length=24), nullable=False),
        sa.Column("once", sqltypes.AutoString(length=120), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("address", sqltypes.AutoString(length=320), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("state", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("reason", sqltypes.AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_at", sqltypes.UTCDateTime(), nullable=True),
        sa.Column("created_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("sent_at", sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_system_mail_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_system_mail")),
        sa.UniqueConstraint("once", name=op.f("uq_system_mail_once")),
    )
    with op.batch_alter_table("system_mail", schema=None) as batch_op:
        batch_op.create_index("ix_system_mail_state_id", ["state", "id"], unique=False)

    op.create_table(
        "delivery",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=True),
        sa.Column("state", sqltypes.AutoString(length=16), nullable=False),
        sa.Column("reason", sqltypes.AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("changed_at", sqltypes.UTCDateTime(), nullable=False),
        sa.Column("receipt", sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_delivery_batch_id_batch")
        ),
        sa.ForeignKeyConstraint(
            ["issue_id"], ["issue.id"], name=op.f("fk_delivery_issue_id_issue")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_delivery_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("issue_id", "subscriber_id", name=op.f("pk_delivery")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_batch_id_state", ["batch_id", "state"], unique=False)
        batch_op.create_index("ix_delivery_subscriber_id", ["subscriber_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_subscriber_id")
        batch_op.drop_index("ix_delivery_batch_id_state")

    op.drop_table("delivery")
    with op.batch_alter_table("system_mail", schema=None) as batch_op:
        batch_op.drop_index("ix_system_mail_state_id")

    op.drop_table("system_mail")
    op.drop_table("slot")
    with op.batch_alter_table("rendered", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rendered_issue_id"))

    op.drop_table("rendered")
    op.drop_table("issue_link")
    with op.batch_alter_table("issue_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_issue_item_comparison_id"))

    op.drop_table("issue_item")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_event_subscriber_id"))
        batch_op.drop_index("ix_event_issue_id_kind")

    op.drop_table("event")
    with op.batch_alter_table("consent_record", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consent_record_subscriber_id"))

    op.drop_table("consent_record")
    op.drop_table("comparison_revision")
    op.drop_table("batch")
    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_approval_issue_id"))

    op.drop_table("approval")
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_suppression_address_key_standing",
            sqlite_where=sa.text("lifted_at IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_suppression_address_key"))

    op.drop_table("suppression")
    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.drop_index("ix_subscriber_status_id")

    op.drop_table("subscriber")
    op.drop_table("issue")
    op.drop_table("comparison")
