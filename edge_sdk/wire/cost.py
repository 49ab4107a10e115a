"""What leaves the machine, in bytes, for one connection and for one frame: framing, headers, acknowledgements included.

Upper estimates, by which the uplink decides whether to begin; what is charged is what `WireAccount` charges.
"""

from __future__ import annotations

_GRPC_PREFIX = 5
_HTTP2_FRAME, _HTTP2_FRAME_MAX = 9, 16_384
_PACKET_HEADERS = 40 + 32  # IPv6 and TCP with timestamps
_PACKET_PAYLOAD = 1_200  # what is left of the smallest MTU that IPv6 allows
_PER_REPLY = 5 * _PACKET_HEADERS  # acknowledgements of the reply, window updates, answers to the server's pings

CONNECTION_BYTES = 3_700
"""An opened connection: its SYNs, the HTTP/2 preface and settings, `Describe`, the stream's headers, and its end."""


def frame_bytes(message_bytes: int) -> int:
    """Bytes on the wire for one request message of `message_bytes`, and for acknowledging its reply."""
    body = message_bytes + _GRPC_PREFIX
    body += _HTTP2_FRAME * (body // _HTTP2_FRAME_MAX + 1)
    packets = body // _PACKET_PAYLOAD + 1
    return body + packets * _PACKET_HEADERS + _PER_REPLY
