"""Find messages by a tag."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Find messages by a tag."""
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tag", sa.Text(), nullable=True))
        batch_op.create_index(
            "messages_by_tag",
            ["account", "tag", "updated_at", "id"],
            unique=False,
            sqlite_where=sa.text("tag IS NOT NULL"),
            postgresql_where=sa.text("tag IS NOT NULL"),
        )
