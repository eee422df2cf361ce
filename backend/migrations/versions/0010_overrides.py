"""What clinicians say of records, and the figures of adherence in the state row."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_override",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("override_id", sa.Uuid(), nullable=False),
        sa.Column("dose_event_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "override_id", name=op.f("pk_event_override")
        ),
    )
    op.create_index(
        "ix_event_override",
        "event_override",
        ["patient_id", "dose_event_id", "recorded_at"],
        unique=False,
    )
    # Written anew when anything next happens to the patient, as all of the row is.
    op.add_column(
        "patient_state",
        sa.Column("adherence", JSONB(), server_default="{}", nullable=False),
    )
    op.alter_column("patient_state", "adherence", server_default=None)
