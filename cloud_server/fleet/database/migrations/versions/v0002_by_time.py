"""Answers and events of all devices by their time: what pages of the latest ones are read by."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes, where the database has reports."""
    if op.get_context().dialect.name == "postgresql":
        op.create_index("answers_time", "answers", ["captured_ms", "number"])
        op.create_index("events_time", "events", ["began_ms", "number"])
