"""The tables as they stand now; `migrations` makes them. Times are milliseconds since 1970, by the server's clock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA = MetaData()
SHARED_INFO = {"postgresql": True}
"""Marks tables that only PostgreSQL has: beside SQLite they are files of their own (`reports.db`, `answers.db`)."""
NUMBER = Integer().with_variant(BigInteger(), "postgresql")
"""A row's number: SQLite counts up an INTEGER alone."""


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, **options)


def _time(name: str, **options: Any) -> Column[int]:
    return Column(name, BigInteger, nullable=False, **options)


users = Table(
    "users",
    METADATA,
    Column("name", String(64), primary_key=True),
    _text("role"),
    _text("password"),  # argon2id; "": none can be given, only a proxy or a key lets this user in
    _text("made_by"),
    _time("made_ms"),
)
passes = Table(  # sessions of browsers and keys of programs: the SHA-256 of a random text
    "passes",
    METADATA,
    Column("hash", String(64), primary_key=True),
    Column("name", String(64), nullable=False, index=True),
    _text("kind"),
    _text("note"),
    _time("made_ms"),
    Column("until_ms", BigInteger),
)
device_tokens = Table(
    "device_tokens",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("device", String(64), nullable=False, index=True),
    Column("hash", String(64), nullable=False, unique=True),
    _text("issued_by"),
    _time("issued_ms"),
    Column("revoked_by", Text),
    Column("revoked_ms", BigInteger),
)
labels = Table(  # of one frame the row with the highest number counts
    "labels",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    _text("device"),
    _text("frame_id"),
    Column("label", Text),  # null: withdrawn
    _text("made_by"),
    _time("made_ms"),
    Index("labels_frame", "device", "frame_id", "number"),
)
cards = Table(  # what people say of a device
    "cards",
    METADATA,
    Column("device", Text, primary_key=True),
    Column("latitude", Float),
    Column("longitude", Float),
    _text("team", server_default=""),  # the group of devices that settings name
    Column("team_ms", BigInteger, nullable=False, server_default="0"),  # when the group last changed
    _text("note", server_default=""),
    _text("changed_by"),
    _time("changed_ms"),
)
setting_changes = Table(  # of one target the row with the highest number holds
    "setting_changes",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    _text("target"),
    _text("settings"),  # JSON
    _text("changed_by"),
    _time("changed_ms"),
    Index("setting_changes_target", "target", "number"),
)

# PostgreSQL alone.
devices = Table(
    "devices",
    METADATA,
    Column("device", Text, primary_key=True),
    _time("first_ms"),
    _time("last_ms"),
    _text("status"),
    info=SHARED_INFO,
)
words = Table(
    "words",
    METADATA,
    Column("device", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("list", BigInteger, nullable=False),
    _text("word"),
    info=SHARED_INFO,
)
answers = Table(
    "answers",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    _text("device"),
    _text("frame_id"),
    _time("received_ms"),
    _time("captured_ms"),
    Column("utc_offset", Integer, nullable=False),
    _text("source"),
    _text("model"),
    _text("event_id"),
    Column("label", Text),
    Column("confidence", Float, nullable=False),
    _text("origin"),
    _text("reason"),
    Column("device_label", Text),
    Column("device_confidence", Float, nullable=False),
    Column("audit", Integer, nullable=False),
    Column("audit_chance", Float),
    Column("audit_event", Integer),
    Column("device_class", Text),
    Column("cloud_class", Text),
    UniqueConstraint("device", "frame_id", name="answers_frame"),
    Index("answers_captured", "device", "captured_ms"),
    Index("answers_time", "captured_ms", "number"),
    Index("answers_audits", "captured_ms", "number", postgresql_where=text("audit <> 0")),
    info=SHARED_INFO,
)
events = Table(
    "events",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    _text("device"),
    _text("event_id"),
    _time("received_ms"),
    _time("began_ms"),
    _time("ended_ms"),
    Column("utc_offset", Integer, nullable=False),
    _text("source"),
    Column("frames", Integer, nullable=False),
    Column("label", Text),
    Column("confidence", Float, nullable=False),
    _text("origin"),
    _text("reason"),
    Column("audit", Integer, nullable=False),
    UniqueConstraint("device", "event_id", name="events_event"),
    Index("events_began", "device", "began_ms"),
    Index("events_time", "began_ms", "number"),
    info=SHARED_INFO,
)
history = Table(
    "history",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    _text("device"),
    _time("at_ms"),
    Column("frames", BigInteger, nullable=False),
    Column("exits", BigInteger, nullable=False),
    Column("bytes_sent", BigInteger, nullable=False),
    Column("waiting", Integer),
    Column("celsius", Float),
    Column("battery", Float),
    Index("history_at", "device", "at_ms"),
    info=SHARED_INFO,
)
replies = Table(
    "replies",
    METADATA,
    Column("fingerprint", Text, primary_key=True),  # of model and labels: replicas may serve several at a time
    Column("key", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("classification", LargeBinary, nullable=False),
    _time("made_ms", index=True),
    info=SHARED_INFO,
)
