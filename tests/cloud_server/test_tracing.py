"""Spans of frames, sent to a real OTLP collector over gRPC in the test's own process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from gated_model import GatedModel, picture
from open_inference_parts import CONFIG

from cloud_server.server import CloudServer
from cloud_server.tracing import NoTraces, open_traces, parent_of
from edge_sdk.errors import ConfigError
from edge_sdk.link.trace_parent import HEADER, new_trace_parent
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
service_grpc = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc")


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Its address, and the spans that came."""
    spans: list[Any] = []

    class Collector(service_grpc.TraceServiceServicer):  # type: ignore[name-defined, misc]
        def Export(self, request: Any, context: Any) -> Any:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            return service.ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    service_grpc.add_TraceServiceServicer_to_server(Collector(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", spans
    finally:
        server.stop(None).wait()


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def test_a_frame_has_its_stages_below_the_devices_span() -> None:
    with collector() as (url, spans):
        config = dataclasses.replace(CONFIG, http_port=None, open_inference=False, traces=url)
        parent, frame_id, bad_id = new_trace_parent(), new_frame_id(), new_frame_id()
        async with CloudServer(config, GatedModel()) as server, grpc.aio.insecure_channel(server.address) as channel:
            stub = wire_grpc.OffloadStub(channel)
            asked = [wire.ClassifyRequest(frame_id=frame_id, image=picture(1))]
            async for reply in stub.Stream(asked, metadata=((HEADER, parent),)):
                assert reply.HasField("classification")
            await stub.Classify(wire.ClassifyRequest(frame_id=bad_id, image=b"none"))
    frames = {attributes(span)["edge_sdk.frame_id"]: span for span in spans if span.name == "frame"}
    good, bad = frames[frame_id], frames[bad_id]
    _, trace_id, span_id, _ = parent.split("-")
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (trace_id, span_id)
    assert attributes(good)["edge_sdk.picture_bytes"] == len(picture(1))
    assert bad.trace_id.hex() != trace_id
    assert attributes(bad)["error.type"] == "BAD_IMAGE"
    stages = {span.name: span for span in spans if span.parent_span_id == good.span_id}
    assert stages.keys() == {"queue", "decode", "model"}
    slack = 5_000_000  # nanoseconds: two clocks
    for span in stages.values():
        assert good.start_time_unix_nano - slack <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= good.end_time_unix_nano + slack
    assert stages["decode"].end_time_unix_nano <= stages["model"].end_time_unix_nano


async def test_a_frame_s_span_names_the_exit_also_where_the_reply_was_known() -> None:
    model = GatedModel()
    model.exits = ("blocks.1", "big model")  # type: ignore[attr-defined]
    run = model.run
    model.run = lambda images, little: (*run(images, little), np.ones(len(images), np.int64))  # type: ignore
    with collector() as (url, spans):
        config = dataclasses.replace(CONFIG, http_port=None, open_inference=False, traces=url)
        asked = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))
        async with CloudServer(config, model) as server, grpc.aio.insecure_channel(server.address) as channel:
            for _ in range(2):
                await wire_grpc.OffloadStub(channel).Classify(asked)
    told = [attributes(span)["edge_sdk.exit"] for span in spans if span.name == "frame"]
    assert told == ["big model"] * 2


async def test_a_collector_that_is_away_costs_no_answer() -> None:
    config = dataclasses.replace(CONFIG, http_port=None, open_inference=False, traces="http://127.0.0.1:9")
    async with CloudServer(config, GatedModel()) as server, grpc.aio.insecure_channel(server.address) as channel:
        asked = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))
        reply = await wire_grpc.OffloadStub(channel).Classify(asked, metadata=((HEADER, "rubbish"),))
        assert reply.HasField("classification")


def test_addresses() -> None:
    assert isinstance(open_traces(""), NoTraces)
    for url in ("127.0.0.1:4317", "ftp://a", "http://"):
        with pytest.raises(ConfigError, match="expected an OTLP collector"):
            open_traces(url)


def test_one_parent_counts() -> None:
    assert parent_of([("a", "b"), (HEADER, "x")]) == "x"
    assert parent_of([(HEADER, "x"), (HEADER, "y")]) == parent_of(None) == ""
