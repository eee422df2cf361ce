"""Devices whose battery ends before the next refill are proposed for replacement."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_replacement",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("replacement_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("empty_early", sa.DateTime(timezone=True), nullable=False),
        sa.Column("empty_expected", sa.DateTime(timezone=True), nullable=False),
        sa.Column("empty_late", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["device.device_id"],
            name=op.f("fk_device_replacement_device_id"),
        ),
        sa.PrimaryKeyConstraint(
            "patient_id", "replacement_id", name=op.f("pk_device_replacement")
        ),
    )
    op.create_index(
        "ix_device_replacement_device",
        "device_replacement",
        ["device_id", "changed_at"],
        unique=False,
    )
    op.create_index(
        "ux_device_replacement_open",
        "device_replacement",
        ["patient_id", "device_id"],
        unique=True,
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_index(
        "ix_device_event_trouble",
        "device_event",
        ["device_id", "recorded_at"],
        unique=False,
        postgresql_where=sa.text(
            "kind IN ('battery_low', 'clock_wrong', 'fault', 'gap', 'reset')"
        ),
    )
