"""Estimates from above of the bytes that one connection and one frame send: framing, headers and acknowledgements.

The uplink decides by them whether to begin. The ledger is charged by `WireAccount`, for the bytes that leave.
"""

from __future__ import annotations

_GRPC_PREFIX = 5
_HTTP2_FRAME, _HTTP2_FRAME_MAX = 9, 16_384
_PACKET_HEADERS = 40 + 32  # IPv6 and TCP with timestamps
_PACKET_PAYLOAD = 1_200  # what is left of the smallest MTU that IPv6 allows
_PER_REPLY = 5 * _PACKET_HEADERS  # acknowledgements of the reply, window updates, answers to the server's pings

CONNECTION_BYTES = 3_700
"""Bytes to open and end a connection: SYNs, HTTP/2 preface and settings, `Describe`, stream headers, the end."""
REPORT_CONNECTION_BYTES = 2_400
"""Bytes to open and end a connection for reports alone: SYNs, HTTP/2 preface and settings, the end."""


def frame_bytes(message_bytes: int) -> int:
    """Bytes on the wire to send a request message of `message_bytes` bytes and acknowledge its reply."""
    body = message_bytes + _GRPC_PREFIX
    body += _HTTP2_FRAME * (body // _HTTP2_FRAME_MAX + 1)
    packets = body // _PACKET_PAYLOAD + 1
    return body + packets * _PACKET_HEADERS + _PER_REPLY
