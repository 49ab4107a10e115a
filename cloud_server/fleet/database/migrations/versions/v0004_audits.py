"""Audits by their time: people are asked about these first, and they are few among many answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index, where the database has reports."""
    if op.get_context().dialect.name == "postgresql":
        where = sa.text("audit <> 0")
        op.create_index("answers_audits", "answers", ["captured_ms", "number"], postgresql_where=where)
