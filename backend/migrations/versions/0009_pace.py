"""Messages by priority, channel and rate; what operators are told of workers."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_message_due", "outbox_message")
    op.create_index(
        "ix_message_due",
        "outbox_message",
        ["channel", "priority", "due_at", "message_id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_check_constraint(
        op.f("ck_outbox_message_priority"),
        "outbox_message",
        "priority BETWEEN 1 AND 9",
    )
    op.create_table(
        "sender_pace",
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("spent_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sender", name=op.f("pk_sender_pace")),
    )
    op.create_table(
        "recent_send",
        sa.Column("recipient", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("recipient", "at", name=op.f("pk_recent_send")),
        prefixes=["UNLOGGED"],
    )
    op.add_column("job_beat", sa.Column("every_s", sa.Double(), nullable=True))
    op.create_table(
        "operator_notice",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("wrong", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_operator_notice")),
    )
