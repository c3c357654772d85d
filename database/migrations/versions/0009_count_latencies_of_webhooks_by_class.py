"""Count latencies of webhooks by class."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count latencies of webhooks by class."""
    op.create_table(
        "hourly_latencies",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("at_most_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "hour", "endpoint", "at_most_ms"),
        comment="Attempts that were answered or timed out, by the hour and the class of their latency.",
    )
