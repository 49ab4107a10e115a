"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make what people say and decide; on PostgreSQL reports and replies too."""
    number = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

    def text(name: str) -> sa.Column[str]:
        return sa.Column(name, sa.Text, nullable=False)

    def whole(name: str) -> sa.Column[int]:
        return sa.Column(name, sa.BigInteger, nullable=False)

    op.create_table(
        "users",
        sa.Column("name", sa.String(64), primary_key=True),
        *(text("role"), text("password"), text("made_by"), whole("made_ms")),
    )
    op.create_table(
        "passes",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        *(text("kind"), text("note"), whole("made_ms"), sa.Column("until_ms", sa.BigInteger)),
    )
    op.create_index("ix_passes_name", "passes", ["name"])
    op.create_table(
        "device_tokens",
        sa.Column("number", number, primary_key=True),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        *(text("issued_by"), whole("issued_ms")),
        *(sa.Column("revoked_by", sa.Text), sa.Column("revoked_ms", sa.BigInteger)),
    )
    op.create_index("ix_device_tokens_device", "device_tokens", ["device"])
    op.create_table(
        "labels",
        sa.Column("number", number, primary_key=True),
        *(text("device"), text("frame_id"), sa.Column("label", sa.Text), text("made_by"), whole("made_ms")),
    )
    op.create_index("labels_frame", "labels", ["device", "frame_id", "number"])
    op.create_table(
        "cards",
        sa.Column("device", sa.Text, primary_key=True),
        *(sa.Column("latitude", sa.Float), sa.Column("longitude", sa.Float)),
        sa.Column("team", sa.Text, nullable=False, server_default=""),
        sa.Column("team_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        *(text("changed_by"), whole("changed_ms")),
    )
    op.create_table(
        "setting_changes",
        sa.Column("number", number, primary_key=True),
        *(text("target"), text("settings"), text("changed_by"), whole("changed_ms")),
    )
    op.create_index("setting_changes_target", "setting_changes", ["target", "number"])
    if op.get_context().dialect.name == "postgresql":
        _make_shared()


def _make_shared() -> None:
    def text(name: str) -> sa.Column[str]:
        return sa.Column(name, sa.Text, nullable=False)

    def whole(name: str) -> sa.Column[int]:
        return sa.Column(name, sa.BigInteger, nullable=False)

    def small(name: str) -> sa.Column[int]:
        return sa.Column(name, sa.Integer, nullable=False)

    def share(name: str) -> sa.Column[float]:
        return sa.Column(name, sa.Float, nullable=False)

    def number() -> sa.Column[int]:
        return sa.Column("number", sa.BigInteger, primary_key=True)

    op.create_table(
        "devices",
        sa.Column("device", sa.Text, primary_key=True),
        *(whole("first_ms"), whole("last_ms"), text("status")),
    )
    op.create_table(
        "words",
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        *(whole("list"), text("word")),
    )
    op.create_table(
        "answers",
        number(),
        *(text("device"), text("frame_id"), whole("received_ms"), whole("captured_ms"), small("utc_offset")),
        *(text("source"), text("model"), text("event_id"), sa.Column("label", sa.Text), share("confidence")),
        *(text("origin"), text("reason"), sa.Column("device_label", sa.Text), share("device_confidence")),
        small("audit"),
        sa.UniqueConstraint("device", "frame_id", name="answers_frame"),
    )
    op.create_index("answers_captured", "answers", ["device", "captured_ms"])
    op.create_table(
        "events",
        number(),
        *(text("device"), text("event_id"), whole("received_ms"), whole("began_ms"), whole("ended_ms")),
        *(small("utc_offset"), text("source"), small("frames"), sa.Column("label", sa.Text), share("confidence")),
        *(text("origin"), text("reason"), small("audit")),
        sa.UniqueConstraint("device", "event_id", name="events_event"),
    )
    op.create_index("events_began", "events", ["device", "began_ms"])
    op.create_table(
        "history",
        number(),
        *(text("device"), whole("at_ms"), whole("frames"), whole("exits"), whole("bytes_sent")),
        *(sa.Column("waiting", sa.Integer), sa.Column("celsius", sa.Float), sa.Column("battery", sa.Float)),
    )
    op.create_index("history_at", "history", ["device", "at_ms"])
    op.create_table(
        "replies",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("classification", sa.LargeBinary, nullable=False),
        whole("made_ms"),
    )
    op.create_index("ix_replies_made_ms", "replies", ["made_ms"])
