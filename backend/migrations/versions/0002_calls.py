"""A message keeps the times of its last call; only other attempts have rows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEEP_TIMES = """
UPDATE outbox_message AS m SET started_at = a.started_at, ended_at = a.ended_at
FROM message_attempt AS a
WHERE a.message_id = m.message_id AND a.attempt = m.attempt AND a.outcome <> 'released'
"""


def upgrade() -> None:
    for name in "started_at", "ended_at":
        op.add_column(
            "outbox_message", sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        )
    op.execute(KEEP_TIMES)
    op.execute("DELETE FROM message_attempt WHERE outcome = 'sent'")
