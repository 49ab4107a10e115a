from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.link.trace_parent import BYTES, HEADER, new_trace_parent, read_trace_parent


def test_what_is_made_is_read() -> None:
    made = new_trace_parent()
    assert len(made) == 55
    assert len(HEADER) + len(made) + 8 <= BYTES
    trace_id, span_id, flags = read_trace_parent(made) or (0, 0, 0)
    assert f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}" == made
    assert flags == 1


@given(st.text(max_size=80))
def test_rubbish_is_none(text: str) -> None:
    assert read_trace_parent(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
        f"ff-{'1' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'1' * 16}-01-more",
        f"00-{'A' * 32}-{'1' * 16}-01",
    ],
)
def test_headers_that_the_standard_forbids(text: str) -> None:
    assert read_trace_parent(text) is None
    assert read_trace_parent(f"01-{'1' * 32}-{'1' * 16}-01-more") is not None


def test_the_device_loads_no_tracing_library() -> None:
    code = "import sys, edge_sdk.link.grpc_transport; print([m for m in sys.modules if 'opentelemetry' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
