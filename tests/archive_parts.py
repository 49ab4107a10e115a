"""A frame archive and a server that fills one, for tests."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
from gated_model import GatedModel, picture

from cloud_server.fleet.archive_folder import ANSWERS
from cloud_server.fleet.frame_archive import SUFFIXES, AnsweredFrame, FrameArchive
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

LABELS = ("empty", "fox", "deer")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONFIG = ServerConfig(port=0, max_batch=4)


def frame(frame_id: str | None = None, image: bytes | None = None, **fields: Any) -> AnsweredFrame:
    said = np.array([0.05, 0.9, 0.05], np.float32)
    given = {"device": "cam-1", "received_at": NOON, "probabilities": said, **fields}
    return AnsweredFrame(frame_id or new_frame_id(), picture() if image is None else image, **given)


def archive_in(folder: Path, **options: Any) -> FrameArchive:
    return FrameArchive(folder, **{"labels": LABELS, "model": "big", "version": "1", **options})


def lines(folder: Path) -> list[dict[str, Any]]:
    if not (folder / ANSWERS).exists():  # nothing is written yet
        return []
    return [json.loads(line) for line in (folder / ANSWERS).read_text().splitlines()]


def pictures(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in SUFFIXES.values())


def size_of(folder: Path) -> int:
    """Bytes of the disk, as `du` counts them."""
    return 512 * sum(path.lstat().st_blocks for path in (folder, *folder.rglob("*")))


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, np.full((16, 16, 3), 90, np.uint8))[1])


def request(level: int = 0, frame_id: str | None = None) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=frame_id or new_frame_id(), image=picture(level))


@asynccontextmanager
async def serving(folder: Path | None, **settings: Any) -> AsyncIterator[Any]:
    """A stub of a server that keeps frames in `folder`."""
    config = dataclasses.replace(CONFIG, archive=folder, **settings)
    async with (
        CloudServer(config, GatedModel()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield wire_grpc.OffloadStub(channel)
