"""A real gRPC server on a real socket whose replies a test decides: the cloud's protocol without a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, cast

import grpc

from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

Script = Callable[[wire.ClassifyRequest, grpc.ServicerContext], "wire.ClassifyReply | None"]
ReportScript = Callable[[wire.ReportRequest], wire.ReportReply]


def answer(request: wire.ClassifyRequest, label: str = "b", macs: int = 1000) -> wire.ClassifyReply:
    """A script's reply: the big model says `label`, of the labels "a" and "b"."""
    said = wire.Classification(label=label, confidence=0.9, probabilities=[0.1, 0.9], macs=macs)
    return wire.ClassifyReply(frame_id=request.frame_id, classification=said)


def taken(request: wire.ReportRequest) -> wire.ReportReply:
    """A script's reply: the report is kept, and all words are known."""
    return wire.ReportReply(taken=True, words_known=request.first_word + len(request.words))


def failure(request: wire.ClassifyRequest, code: int, message: str = "no") -> wire.ClassifyReply:
    """A script's reply: a failure of this code, as a server writes it that does not know `retryable`."""
    return wire.ClassifyReply(frame_id=request.frame_id, failure=wire.Failure(code=cast(Any, code), message=message))


class ScriptedServer(wire_grpc.OffloadServicer):  # type: ignore[misc]
    """Speaks `edge_sdk.v1.Offload`; runs while its `with` block does.

    Args:
        script: gives the reply to a request, on a thread of the server; None: no reply.
        labels: of the server.
        credentials: speak TLS with these; None: unencrypted.
        token: demand this token; None: none.
        host: the address to listen on.
        reads_probabilities: ask devices for the little model's probabilities.
        reports: gives the reply to a report; None: the server takes none, as an older one.
        looks_twice: say that frames with a region are looked at twice.
        exits: names of the big model's exits.

    Attributes:
        requests: those that came over streams, in their order.
        describes: calls of `Describe` so far.
        streams: streams opened so far.
        reported: reports that came, in their order.
        port: chosen at the first start, then kept.
    """

    def __init__(
        self,
        script: Script = lambda request, _: answer(request),
        labels: tuple[str, ...] = ("a", "b"),
        credentials: grpc.ServerCredentials | None = None,
        token: str | None = None,
        host: str = "127.0.0.1",
        reads_probabilities: bool = False,
        reports: ReportScript | None = None,
        looks_twice: bool = False,
        exits: tuple[str, ...] = (),
    ) -> None:
        self.reports = reports
        self.reported: list[wire.ReportRequest] = []
        self.reads_probabilities = reads_probabilities
        self.looks_twice = looks_twice
        self.exits = exits
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
        """Listen."""
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        wire_grpc.add_OffloadServicer_to_server(self, self._server)
        where = f"{self.host}:{self.port}"
        if self.credentials is None:
            self.port = self._server.add_insecure_port(where)
        else:
            self.port = self._server.add_secure_port(where, self.credentials)
        self._server.start()

    def stop(self) -> None:
        """End all calls; `start` may follow."""
        self._server.stop(None).wait()

    @property
    def target(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def ids(self) -> list[str]:
        """Frame ids of `requests`."""
        return [request.frame_id for request in self.requests]

    def __enter__(self) -> ScriptedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def Describe(self, request: wire.DescribeRequest, context: grpc.ServicerContext) -> wire.Description:
        """Say what the server is."""
        self.describes += 1
        if self.token is not None and ("authorization", f"Bearer {self.token}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")
        return wire.Description(
            model="scripted",
            labels=self.labels,
            macs=1000,
            input_width=32,
            input_height=32,
            reads_probabilities=self.reads_probabilities,
            looks_twice=self.looks_twice,
            exits=self.exits,
        )

    def Classify(self, request: wire.ClassifyRequest, context: grpc.ServicerContext) -> wire.ClassifyReply:
        """Answer one frame."""
        return self.script(request, context) or wire.ClassifyReply(frame_id=request.frame_id)

    def Report(self, request: wire.ReportRequest, context: grpc.ServicerContext) -> wire.ReportReply:
        """Take a report."""
        with self._lock:
            self.reported.append(request)
        if self.reports is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no reports")
        assert self.reports is not None
        return self.reports(request)

    def Stream(
        self, requests: Iterator[wire.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[wire.ClassifyReply]:
        """Answer a stream of frames."""
        with self._lock:
            self.streams += 1
        for request in requests:
            with self._lock:
                self.requests.append(request)
            if reply := self.script(request, context):
                yield reply
