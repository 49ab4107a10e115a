"""The page of a `cloud-server` process beside replicas of Ray Serve, over one PostgreSQL."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from page_parts import PASSWORD, Fleet
from postgres_server import Postgres
from server_parts import serving

from cloud_server.fleet.database.opening import open_database
from cloud_server.fleet.database.users import Role, Users
from edge_sdk.budget.usage import Usage
from edge_sdk.fleet.status import pack_usage
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


class _Call:
    """What Ray hands to a replica with a call."""

    def __init__(self, token: str) -> None:
        self._token = token

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self._token}")]

    def peer(self) -> str:
        return "ipv4:192.0.2.7:5"


@pytest.mark.filterwarnings("ignore")  # of Ray's own code
def test_the_page_issues_tokens_for_replicas_and_shows_what_they_were_told(
    checkpoint: Path, postgres_process: Postgres, tmp_path: Path
) -> None:
    from cloud_server.ray_options import Options
    from cloud_server.ray_replica import Offload

    url, log = postgres_process.new_database(), tmp_path / "log"
    engine = open_database(url)
    Users(engine).add("ada", Role.OPERATE, PASSWORD, "test")
    engine.dispose()
    image = bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1])
    usage = pack_usage(Usage(frames=1000, exits=900, offloads=100, bytes_sent=1_500_000), 0)

    async def replica_answers(call: _Call) -> None:
        replica = Offload(Options(model=str(checkpoint), database=url, require_tokens=True), None)
        try:
            await replica.check_health()
            request = wire.ClassifyRequest(frame_id=new_frame_id(), image=image)
            assert (await replica.Classify(request, call)).classification.label
            report = wire.ReportRequest(sent_ms=time.time_ns() // 10**6, usage=usage)
            assert (await replica.Report(report, call)).taken
        finally:
            await replica.stop()

    with serving(log, "--database", url, "--page", "--http", "127.0.0.1:0", "--require-tokens"):
        found = re.search(r"http://(\S+:\d+)/metrics", log.read_text())
        assert found, log.read_text()
        with httpx.Client(base_url=f"http://{found[1]}", trust_env=False, timeout=None) as client:
            assert Fleet.post(client, "/sign-in", "/sign-in", name="ada", password=PASSWORD).status_code == 303
            issued = Fleet.post(client, "/tokens", "/tokens", device="cam-1")
            token = re.search(r"<code[^>]*>([^<\s]{20,})</code>", issued.text)
            assert token, issued.text
            asyncio.run(replica_answers(_Call(token[1])))
            assert "cam-1" in client.get("/").text
            shown = client.get("/devices/cam-1")
            assert shown.status_code == 200
            assert "1000" in re.sub(r"[\s,.\u2009\u202f]", "", shown.text)
