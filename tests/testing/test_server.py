"""The scripted server."""

from __future__ import annotations

import grpc

from edge_sdk.testing.server import ScriptedServer, answer, failure
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


def test_the_script_decides_and_a_restart_keeps_the_port() -> None:
    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply | None:
        return answer(request) if request.frame_id == "good" else failure(request, wire.Failure.BAD_IMAGE)

    server = ScriptedServer(script)
    for _ in range(2):
        with server, grpc.insecure_channel(server.target) as channel:
            stub = wire_grpc.OffloadStub(channel)
            assert list(stub.Describe(wire.DescribeRequest()).labels) == ["a", "b"]
            replies = list(stub.Stream(iter([wire.ClassifyRequest(frame_id=one) for one in ("good", "bad")])))
            assert [reply.WhichOneof("result") for reply in replies] == ["classification", "failure"]
            assert stub.Classify(wire.ClassifyRequest(frame_id="good")).classification.label == "b"
    assert server.ids == ["good", "bad"] * 2
    assert (server.streams, server.describes) == (2, 2)
