"""Alembic's entry point for each command; `database.migrating` passes the connection."""

from __future__ import annotations

from alembic import context

from database.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    # SQLite cannot change a column: the table is recreated and filled from the old one.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
