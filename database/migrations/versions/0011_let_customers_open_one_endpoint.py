"""Let customers open one endpoint."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let customers open one endpoint."""
    op.create_table(
        "customer_links",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="One-time links that open one endpoint to its customer; the digest of each. One that was used is"
        " deleted.",
    )
    op.create_table(
        "customer_sessions",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("link_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        comment="Customers who have opened a link; the digest of each cookie.",
    )
    for table in ("customer_links", "customer_sessions"):
        op.create_index(f"{table}_of_endpoint", table, ["account", "endpoint"], unique=False)
