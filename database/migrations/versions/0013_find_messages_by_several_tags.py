"""Find messages by several tags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Find messages by several tags. The one tag that a message had becomes the tag named `tag`."""
    op.create_table(
        "message_tags",
        sa.Column("message", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message", "name"),
        comment="Arguments by which messages are found. `message` is its id in `messages`, whose `tags` has all of them as JSON; `updated_at` is the message's own, so that a page of a tag's messages is one range of one index.",
    )
    op.execute(
        "INSERT INTO message_tags (message, account, name, value, updated_at)"
        " SELECT id, account, 'tag', tag, updated_at FROM messages WHERE tag IS NOT NULL"
    )
    with op.batch_alter_table("message_tags", schema=None) as batch_op:
        batch_op.create_index(
            "message_tags_by_value", ["account", "name", "value", "updated_at", "message"], unique=False
        )
    op.add_column("messages", sa.Column("tags", sa.Text(), nullable=True))
    quoted = "to_json(tag)" if op.get_context().dialect.name == "postgresql" else "json_quote(tag)"
    op.execute(f"UPDATE messages SET tags = '{{\"tag\":' || {quoted} || '}}' WHERE tag IS NOT NULL")  # noqa: S608
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index("messages_by_tag")
        batch_op.drop_column("tag")
