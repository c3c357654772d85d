"""Find failures among receipts by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Find failures among receipts by an index."""
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.create_index(
            "receipts_of_failures",
            ["account", "received_at"],
            unique=False,
            sqlite_where=sa.text("status NOT IN ('pending', 'delivered')"),
            postgresql_where=sa.text("status NOT IN ('pending', 'delivered')"),
        )
