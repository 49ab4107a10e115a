"""What the kernel says of a connection's bytes."""

from __future__ import annotations

import socket

from edge_sdk.link.meter import WireMeter, interface_bytes


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
