"""What people answer is kept, and messages that failed are found by when they did."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inbound_message",
        sa.Column("inbound_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("inbound_id", name=op.f("pk_inbound_message")),
    )
    op.create_index(
        "ix_inbound_patient", "inbound_message", ["patient_id", "received_at"]
    )
    op.create_index("ix_inbound_address", "inbound_message", ["address", "received_at"])
    op.create_index(
        "ix_inbound_stranger",
        "inbound_message",
        ["received_at"],
        postgresql_where=sa.text("patient_id IS NULL AND handled_at IS NULL"),
    )
    op.create_index("ix_contact_point_address", "contact_point", ["address"])
    op.create_index(
        "ix_message_failed",
        "outbox_message",
        ["settled_at"],
        postgresql_where=sa.text("state = 'failed'"),
    )
