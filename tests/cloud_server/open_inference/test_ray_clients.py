"""Real clients of the Open Inference Protocol against replicas on a real local Ray, each with a GPU that Ray counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from free_ports import free_port
from gated_model import picture
from standard_clients import KSERVE, KSERVE_CODE, TRITON, TRITON_CODE, environment, said

from edge_sdk.security.tokens import add_token, new_token

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TESTS = Path(__file__).resolve().parents[2]


def test_standard_clients_are_answered_by_replicas_with_a_gpu_each(tmp_path: Path) -> None:
    photo, token = tmp_path / "photo.png", new_token()
    photo.write_bytes(picture(1))
    add_token(tmp_path / "tokens", "lab", token)
    (tmp_path / "replicas").mkdir()
    ports = [free_port(), free_port()]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    command = [sys.executable, str(TESTS / "ray_open_inference.py"), str(tmp_path), *map(str, ports)]
    more = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "300"}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **more, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        ) as process,
    ):
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "serving\n", (tmp_path / "log").read_text()[-3000:]
        for kind, address in zip(("grpc", "http"), addresses, strict=True):
            told = said(environment(*TRITON), TRITON_CODE, kind, address, token, str(photo))
            assert "expected the data type UINT8 for pixels; got 'FP16'" in told
            assert "expected at most 32 pictures in one request; got 9,999" in told
        assert said(environment(*KSERVE), KSERVE_CODE, *addresses, token, str(photo)) == "answered\n"
        process.stdin.close()
    given = [json.loads(one.read_text()) for one in (tmp_path / "replicas").iterdir()]
    assert {one["device"] for one in given} == {"cuda"}
    assert {one["visible"] for one in given} == {"0", "1"}  # two replicas, and no GPU has two
