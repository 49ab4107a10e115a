"""Traces of frames: what the server tells of each, and, where it was asked for, OpenTelemetry spans sent by OTLP."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from edge_sdk.errors import ConfigError
from edge_sdk.link.trace_parent import HEADER, read_trace_parent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

SERVICE = "cloud-server"
_QUEUE = 4096
"""Spans that wait to be sent; further ones are dropped."""
_NANO = 1_000_000_000


class Trace(Protocol):
    """The trace of one frame."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; "": it is not recorded."""
        ...

    def stage(self, name: str, began_s: float, ended_s: float) -> None:
        """A stage of the frame: times on the clock of `time.time`. From any thread."""
        ...

    def tell(self, name: str, value: str) -> None:
        """What became known of the frame."""
        ...

    def end(self, failure: str = "") -> None:
        """The frame was answered, or refused with this code."""
        ...


class NoTrace:
    """The trace of a frame that nobody records."""

    trace_id = ""

    def stage(self, name: str, began_s: float, ended_s: float) -> None:
        """Nothing."""

    def tell(self, name: str, value: str) -> None:
        """Nothing."""

    def end(self, failure: str = "") -> None:
        """Nothing."""


class Traces(Protocol):
    """Begins traces."""

    def begin(self, parent: str, frame_id: str, device: str, size: int) -> Trace:
        """The trace of a frame that came now.

        Args:
            parent: the call's `traceparent`; "": it has none.
            frame_id: of the frame.
            device: whose it is.
            size: bytes of the picture.
        """
        ...

    def close(self) -> None:
        """Send what is left, within a few seconds."""
        ...


class NoTraces:
    """Records nothing."""

    def begin(self, parent: str, frame_id: str, device: str, size: int) -> Trace:
        """A trace that records nothing."""
        return _NONE

    def close(self) -> None:
        """Nothing."""


_NONE = NoTrace()


class OtlpTraces:
    """Records each frame as a span with its stages, and sends them in batches on a thread of OpenTelemetry's.

    Args:
        exporter: sends spans.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=_QUEUE))
        self._tracer = self._provider.get_tracer("cloud_server")

    def begin(self, parent: str, frame_id: str, device: str, size: int) -> Trace:
        """The trace of a frame; a child of the device's span where the call names one."""
        from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

        context: Any = None
        if (found := read_trace_parent(parent)) is not None:
            trace_id, span_id, flags = found
            above = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
            context = set_span_in_context(NonRecordingSpan(above))
        about: dict[str, str | int] = {
            "edge_sdk.frame_id": frame_id,
            "edge_sdk.device": device,
            "edge_sdk.picture_bytes": size,
        }
        span = self._tracer.start_span("frame", context=context, kind=SpanKind.SERVER, attributes=about)
        return _OtlpTrace(self._tracer, span)

    def close(self) -> None:
        """Send what is left, within a few seconds."""
        self._provider.force_flush(3_000)
        self._provider.shutdown()


class _OtlpTrace:
    def __init__(self, tracer: Any, span: Span) -> None:
        from opentelemetry.trace import format_trace_id, set_span_in_context

        self._tracer, self._span = tracer, span
        self._context = set_span_in_context(span)
        self.trace_id = format_trace_id(span.get_span_context().trace_id)

    def stage(self, name: str, began_s: float, ended_s: float) -> None:
        span = self._tracer.start_span(name, context=self._context, start_time=round(began_s * _NANO))
        span.end(end_time=round(ended_s * _NANO))

    def tell(self, name: str, value: str) -> None:
        self._span.set_attribute(name, value)

    def end(self, failure: str = "") -> None:
        from opentelemetry.trace import StatusCode

        if failure:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(StatusCode.ERROR)
        self._span.end(end_time=round(time() * _NANO))


def check_collector(url: str) -> None:
    """Check the form of a collector's address.

    Raises:
        ConfigError: it is no such address.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        is_address = False
    if not is_address:
        raise ConfigError(f"expected an OTLP collector as http://HOST:PORT or https://HOST:PORT; got {url[:100]!r}")


def open_traces(url: str) -> Traces:
    """What records traces and sends them to an OTLP collector over gRPC; nothing where `url` is empty.

    Args:
        url: such as http://127.0.0.1:4317; https:// encrypts.

    Raises:
        ConfigError: it is no such address, or the packages are missing.
    """
    if not url:
        return NoTraces()
    check_collector(url)
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise ConfigError("traces need OpenTelemetry: pip install '.[traces]'") from None
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # a collector that is away for a while is no news
    return OtlpTraces(OTLPSpanExporter(endpoint=url, insecure=urlsplit(url).scheme == "http", timeout=3))


def parent_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The `traceparent` in a call's metadata; "": it has none."""
    found = [value for key, value in metadata or () if key == HEADER and isinstance(value, str)]
    return found[0] if len(found) == 1 else ""
