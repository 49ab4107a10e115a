"""A real gRPC server on a real socket whose replies a test decides: the cloud's protocol without a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc

from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

Script = Callable[[wire.ClassifyRequest, grpc.ServicerContext], "wire.ClassifyReply | None"]


def answer(request: wire.ClassifyRequest, label: str = "b", macs: int = 1000) -> wire.ClassifyReply:
    said = wire.Classification(label=label, confidence=0.9, probabilities=[0.1, 0.9], macs=macs)
    return wire.ClassifyReply(frame_id=request.frame_id, classification=said)


def failure(request: wire.ClassifyRequest, code: int, message: str = "no") -> wire.ClassifyReply:
    return wire.ClassifyReply(frame_id=request.frame_id, failure=wire.Failure(code=code, message=message))


class ScriptedServer(wire_grpc.OffloadServicer):
    """Runs while its `with` block does.

    `script` gives the reply to a request; None: no reply. With `credentials` it speaks TLS; with `token` it demands it.
    """

    def __init__(
        self,
        script: Script = lambda request, _: answer(request),
        labels: tuple[str, ...] = ("a", "b"),
        credentials: grpc.ServerCredentials | None = None,
        token: str | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.script = script
        self.credentials = credentials
        self.token = token
        self.host = host
        self.describes = 0
        self.labels = labels
        self.requests: list[wire.ClassifyRequest] = []
        self.streams = 0
        self.port = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        wire_grpc.add_OffloadServicer_to_server(self, self._server)
        where = f"{self.host}:{self.port}"
        if self.credentials is None:
            self.port = self._server.add_insecure_port(where)
        else:
            self.port = self._server.add_secure_port(where, self.credentials)
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    @property
    def target(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def ids(self) -> list[str]:
        return [request.frame_id for request in self.requests]

    def __enter__(self) -> ScriptedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def Describe(self, request: wire.DescribeRequest, context: grpc.ServicerContext) -> wire.Description:
        self.describes += 1
        if self.token is not None and ("authorization", f"Bearer {self.token}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")
        return wire.Description(model="scripted", labels=self.labels, macs=1000, input_width=32, input_height=32)

    def Classify(self, request: wire.ClassifyRequest, context: grpc.ServicerContext) -> wire.ClassifyReply:
        return self.script(request, context) or wire.ClassifyReply(frame_id=request.frame_id)

    def Stream(
        self, requests: Iterator[wire.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[wire.ClassifyReply]:
        with self._lock:
            self.streams += 1
        for request in requests:
            with self._lock:
                self.requests.append(request)
            if reply := self.script(request, context):
                yield reply
