from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from gated_model import picture

from cloud_server.local import ServerStartError, start_local_server
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

PARENT = """
import sys
from cloud_server.local import start_local_server
with start_local_server(sys.argv[1], "--threads", "1") as address:
    print(address, flush=True)
    sys.stdin.read()
"""


def test_it_serves_for_as_long_as_its_block(checkpoint: Path) -> None:
    with start_local_server(str(checkpoint), "--threads", "1") as address, grpc.insecure_channel(address) as channel:
        stub = wire_grpc.OffloadStub(channel)
        assert stub.Describe(wire.DescribeRequest()).model == "tiny (test_resnet)"
        reply = stub.Classify(wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(3)))
        assert reply.HasField("classification")
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
        wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest())


def test_a_failed_start_says_what_the_server_said() -> None:
    with pytest.raises(ServerStartError, match=r"exit code 2\): cloud-server: expected a shipped model .* 'resnett18'"):
        start_local_server("resnett18").__enter__()


def test_a_start_that_takes_too_long_is_given_up(checkpoint: Path) -> None:
    with pytest.raises(ServerStartError, match=r"did not start within 0\.01 s"):
        start_local_server(str(checkpoint), start_timeout_s=0.01).__enter__()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_it_dies_with_a_parent_that_is_killed(checkpoint: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(checkpoint)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline().startswith("127.0.0.1:")
        child = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()[0])
        ended = os.pidfd_open(child)
        parent.send_signal(signal.SIGKILL)
        select.select([ended], [], [])  # readable once the process has ended
        os.close(ended)


def test_importing_it_loads_no_torch() -> None:
    code = (
        "import sys, cloud_server, cloud_server.local; assert not {'torch', 'timm', 'grpc_health'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
