"""How each patient is reached, in one row; recent sends that may share an instant."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# As it was when this version was written; see `people/reachable.py`.
FILL = """
INSERT INTO patient_reach (patient_id, since, language, addresses, reminders, naming)
SELECT p.patient_id,
    greatest(
        (SELECT max(effective_from) FROM patient_language AS l
         WHERE l.patient_id = p.patient_id),
        (SELECT greatest(max(c.since), max(c.until)) FROM contact_point AS c
         WHERE c.patient_id = p.patient_id),
        (SELECT greatest(max(s.since), max(s.until)) FROM consent AS s
         WHERE s.patient_id = p.patient_id AND s.purpose IN ('reminders', 'naming')),
        p.recorded_at),
    (SELECT l.language FROM patient_language AS l WHERE l.patient_id = p.patient_id
     ORDER BY l.effective_from DESC LIMIT 1),
    (SELECT coalesce(jsonb_object_agg(best.channel, best.addresses), '{}')
     FROM (SELECT c.channel,
               jsonb_agg(c.address ORDER BY c.rank, c.since DESC, c.address)
               AS addresses
           FROM contact_point AS c
           WHERE c.patient_id = p.patient_id AND c.until IS NULL
           GROUP BY c.channel) AS best),
    ARRAY(SELECT s.recipient_id FROM consent AS s WHERE s.patient_id = p.patient_id
          AND s.purpose = 'reminders' AND s.until IS NULL ORDER BY 1),
    ARRAY(SELECT s.recipient_id FROM consent AS s WHERE s.patient_id = p.patient_id
          AND s.purpose = 'naming' AND s.until IS NULL ORDER BY 1)
FROM patient AS p WHERE p.erased_at IS NULL
"""


def upgrade() -> None:
    op.create_table(
        "patient_reach",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("addresses", JSONB(), nullable=False),
        sa.Column("reminders", ARRAY(sa.UUID()), nullable=False),
        sa.Column("naming", ARRAY(sa.UUID()), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_patient_reach")),
    )
    op.execute(FILL)
    op.drop_index("ix_consent_naming", "consent")
    op.drop_constraint(op.f("pk_recent_send"), "recent_send", type_="primary")
    op.create_index("ix_recent_send", "recent_send", ["recipient", "at"])
