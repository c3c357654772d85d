"""Settings of services that use the database."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class DatabaseSettings(BusSettings):
    """The database's location."""

    database_url: str = Field(
        default="",
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host/name, or sqlite:///path; when unset, an SQLite file in"
        " TRACKLY_DATA_DIR. Several consoles need one PostgreSQL.",
    )

    @property
    def database(self) -> str:
        """The effective URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'console.db'}"
