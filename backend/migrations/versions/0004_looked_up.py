"""What every reminder looks up is found in an index alone."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_contact_point_channel",
        "contact_point",
        ["patient_id", "channel"],
        postgresql_include=["address", "rank", "since", "until"],
    )
    op.create_index(
        "ix_consent_given",
        "consent",
        ["patient_id", "purpose", "recipient_id", "since"],
        postgresql_include=["until"],
    )
    op.create_index(
        "ix_assignment_regimen",
        "assignment",
        ["patient_id", "regimen_id"],
        postgresql_include=["device_id", "since", "until"],
    )
