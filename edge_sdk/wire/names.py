"""Names of the wire that stand in no message."""

from __future__ import annotations

MODEL_HEADER = "edge-model"
"""Metadata of a call: the bundle's name, by which a server with several models chooses the one that answers."""
