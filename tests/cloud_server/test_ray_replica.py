"""Replicas of Ray Serve as Ray would make and call them, without Ray's processes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from postgres_server import Postgres

from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


class _Call:
    """What Ray hands to a replica with a call."""

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return []

    def peer(self) -> str:
        return "ipv4:192.0.2.7:5"


@pytest.mark.filterwarnings("ignore")
async def test_replicas_share_replies_in_the_database_and_take_reports(
    checkpoint: Path, postgres_process: Postgres
) -> None:
    from cloud_server.ray_options import Options
    from cloud_server.ray_replica import Offload

    options = Options(model=str(checkpoint), database=postgres_process.new_database(), max_batch=2)
    first, second = Offload(options, None), Offload(options, None)
    image = bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1])
    request = wire.ClassifyRequest(frame_id=new_frame_id(), image=image)
    try:
        await first.check_health()
        reply = await first.Classify(request, _Call())
        assert reply.classification.label
        assert await second.Classify(request, _Call()) == reply
        assert second.stats.repeats == 1 and second.stats.frames == 0  # the model did not run again
        assert (await second.Report(wire.ReportRequest(sent_ms=1), _Call())).taken
    finally:
        await first.stop()
        await second.stop()
