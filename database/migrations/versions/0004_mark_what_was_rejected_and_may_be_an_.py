"""Mark what was rejected and may be an opt-out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Mark what was rejected and may be an opt-out."""
    with op.batch_alter_table("rejected", schema=None) as batch_op:
        batch_op.add_column(sa.Column("may_opt_out", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.create_index("rejected_by_may_opt_out", ["account", "may_opt_out", "rejected_at", "id"], unique=False)
