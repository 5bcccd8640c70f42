"""The tables, as the steps that made them. Steps only add, so that older workers go on beside newer ones.

SQL that SQLite and PostgreSQL both read; identifiers and digests are text, lists and mappings JSON.
"""

from __future__ import annotations

from typing import Final

VERSION_TABLE: Final = "CREATE TABLE IF NOT EXISTS plugmw_schema (version INTEGER NOT NULL)"

#: Step n brings the tables to version n + 1. Never change one that was released: add another.
STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE plugmw_consumers (
            id TEXT PRIMARY KEY,
            username TEXT UNIQUE,
            custom_id TEXT UNIQUE,
            tags TEXT NOT NULL,
            group_names TEXT NOT NULL
        )""",
        """CREATE TABLE plugmw_credentials (
            id TEXT PRIMARY KEY,
            consumer_id TEXT NOT NULL REFERENCES plugmw_consumers (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            digest TEXT NOT NULL,
            identifier TEXT,
            data TEXT NOT NULL,
            expires DOUBLE PRECISION,
            UNIQUE (kind, digest)
        )""",
        "CREATE INDEX plugmw_credentials_consumer ON plugmw_credentials (consumer_id)",
    ),
)

#: The same for PostgreSQL alone: a counter of changes, whoever makes them. SQLite has one of its own.
POSTGRES_STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE plugmw_changes (counter BIGINT NOT NULL)",
        "INSERT INTO plugmw_changes VALUES (0)",
        """CREATE FUNCTION plugmw_changed() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN UPDATE plugmw_changes SET counter = counter + 1; RETURN NULL; END $$""",
        """CREATE TRIGGER plugmw_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON plugmw_consumers
            FOR EACH STATEMENT EXECUTE FUNCTION plugmw_changed()""",
        """CREATE TRIGGER plugmw_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON plugmw_credentials
            FOR EACH STATEMENT EXECUTE FUNCTION plugmw_changed()""",
    ),
)
