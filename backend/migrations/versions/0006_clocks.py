"""Drifts, jumps and settings of clocks are found among what devices tell."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_device_event_trouble", table_name="device_event")
    op.create_index(
        "ix_device_event_trouble",
        "device_event",
        ["device_id", "recorded_at"],
        unique=False,
        postgresql_where=sa.text(
            "kind IN ('battery_low', 'clock_drift', 'clock_jump', 'clock_set',"
            " 'clock_wrong', 'fault', 'gap', 'reset')"
        ),
    )
