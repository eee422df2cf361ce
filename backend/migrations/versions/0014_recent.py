"""What went out in the last hour is a row a batch, no longer a row a message.

Workers of the version before must have been stopped: what they send they could not
write down any more. What went out within the hour before is forgotten, and the worst
that follows is a text too soon.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("recent_send")
    op.create_table(
        "recent_send",
        sa.Column(
            "batch_id", sa.BigInteger(), sa.Identity(always=True), nullable=False
        ),
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recipients", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_recent_send")),
    )
