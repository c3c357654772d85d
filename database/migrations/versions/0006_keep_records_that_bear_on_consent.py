"""Keep records that bear on consent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep records that bear on consent."""
    op.create_table(
        "evidence",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("list_number", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("effect_ms", sa.BigInteger(), nullable=True),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("place", "sha256", name="evidence_identity"),
        comment="Every record that bears on a person's consent, as it lay on Kafka: `place` its topic/partition/offset, `sha256` the hash of its value, `body` its fields. `effect_ms`: from the receipt of its cause to this record.",
    )
    with op.batch_alter_table("evidence", schema=None) as batch_op:
        batch_op.create_index("evidence_by_time", ["recorded_at"], unique=False)
        batch_op.create_index("evidence_effects", ["account", "recorded_at", "effect_ms"], unique=False)
        batch_op.create_index("evidence_of_event", ["event_id", "account"], unique=False)
        batch_op.create_index("evidence_of_number", ["number", "account", "recorded_at", "id"], unique=False)
