"""What the tests without a server prove of SQLite, for PostgreSQL."""

from tests.unit.auth.directories.test_sql import *  # noqa: F403
