"""Keep versions of contacts, and count what was lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep versions of contacts, and count what was lost."""
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("version", sa.BigInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("freshness", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lost", sa.BigInteger(), server_default="0", nullable=False))
