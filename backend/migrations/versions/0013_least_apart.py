"""A prescription may say how far apart doses are at least when its patient travels."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("regimen_version", sa.Column("least_apart_s", sa.Integer()))
