"""What an audit counts for: its chance, whether it stands for an event, the device's class and the cloud's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, where the database has reports."""
    if op.get_context().dialect.name == "postgresql":
        for name, kind in (("audit_chance", sa.Float), ("audit_event", sa.Integer), ("device_class", sa.Text)):
            op.add_column("answers", sa.Column(name, kind))
        op.add_column("answers", sa.Column("cloud_class", sa.Text))
