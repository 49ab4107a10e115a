"""What the kernel says of a connection's bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from edge_sdk.link.meter import WireMeter, interface_bytes


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as out:
        other, _ = listener.accept()
        with other:
            yield out, other


def test_the_meter_reads_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as out:
        there, _ = listener.accept()
        with there:
            meter = WireMeter(out)
            opened = meter.wire_bytes()
            out.sendall(bytes(50_000))
            meter.wrote(50_000)
            received = 0
            while received < 50_000:
                received += len(there.recv(65_536))
            assert 50_000 <= meter.wire_bytes() - opened < 53_000
            assert meter.cost(50_000) >= 50_000 + meter.segment_bytes - meter.mss


def test_an_interface_that_is_not_there_has_no_count() -> None:
    assert interface_bytes("no-such-interface") is None


def test_what_was_not_acknowledged_may_be_sent_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as out:
        out.setblocking(False)
        meter = WireMeter(out)
        assert meter.unacknowledged() == 0
        sent = 0
        try:
            while True:  # nobody reads: the buffers of both ends fill up
                sent += out.send(bytes(65_536))
        except BlockingIOError:
            pass
        assert 0 < meter.unacknowledged() <= sent


def test_a_silence_before_what_is_written_is_measured_until_something_comes() -> None:
    now_s = 100.0
    with pair() as (out, _):
        meter = WireMeter(out, steady=lambda: now_s)
        now_s = 140.0
        meter.wrote(10)
        meter.wrote(10)
        assert meter.pause_s == 40.0
        meter.received(10)
        assert meter.pause_s == 0.0


def test_a_healthy_connection_repeats_nothing_and_has_no_gap() -> None:
    with pair() as (out, other):
        meter = WireMeter(out)
        other.sendall(b"a")
        assert (meter.repeats(), meter.gap()) == (0, False)
