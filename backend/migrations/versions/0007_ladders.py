"""Ladders, preferences, pauses, caregivers, answers and opt-outs of reminders."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "regimen_ladder",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("steps", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fixed", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "regimen_id", "version", name=op.f("pk_regimen_ladder")
        ),
    )
    op.create_table(
        "reminder_preference",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quiet_since", sa.Text(), nullable=True),
        sa.Column("quiet_until", sa.Text(), nullable=True),
        sa.Column("adaptive", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "effective_from", name=op.f("pk_reminder_preference")
        ),
    )
    op.create_table(
        "reminder_pause",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("pause_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("span_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "pause_id", name=op.f("pk_reminder_pause")
        ),
    )
    op.create_table(
        "caregiver",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("caregiver_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "caregiver_id", name=op.f("pk_caregiver")
        ),
    )
    op.create_table(
        "reminder_answer",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("answer_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=True),
        sa.Column("occurrence", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "answer_id", name=op.f("pk_reminder_answer")
        ),
    )
    op.create_index(
        "ix_reminder_answer_dose",
        "reminder_answer",
        ["patient_id", "regimen_id", "occurrence"],
        unique=False,
        postgresql_where=sa.text("occurrence IS NOT NULL"),
    )
    op.create_table(
        "opt_out",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("opt_out_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("patient_id", "opt_out_id", name=op.f("pk_opt_out")),
    )
    op.create_table(
        "reminder_shift",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=False),
        sa.Column("local_time", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shift_s", sa.Integer(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id",
            "regimen_id",
            "local_time",
            "since",
            name=op.f("pk_reminder_shift"),
        ),
    )
