"""Count messages, each once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count messages, each once. For what is over, the events must do, of which a message may have several."""
    op.create_table(
        "hourly_messages",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("list_number", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "hour", "provider", "list_number", "status", "detail"),
        comment="Messages by their newest status and the hour in which they came to it, each once. `detail`: status_detail of those that failed.",
    )
    op.add_column("messages", sa.Column("outcome_at", sa.BigInteger(), nullable=True))
    op.execute(
        "INSERT INTO hourly_messages (account, hour, provider, list_number, status, detail, count)"
        " SELECT account, hour, provider, list_number, status,"
        " CASE WHEN status IN ('delivered', 'pending') THEN '' ELSE detail END, sum(count)"
        " FROM hourly_events WHERE event = 'delivery' GROUP BY 1, 2, 3, 4, 5, 6"
    )
