"""Public fakes for tests of programs that use the SDK, one beside each seam.

Importing this package loads none of them; each name loads its module at its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_sdk.testing.camera import FakeCamera
    from edge_sdk.testing.channel import FakeChannel
    from edge_sdk.testing.clock import FakeClock
    from edge_sdk.testing.picamera import FakePicamera2, fake_picamera2
    from edge_sdk.testing.runtime import FakeRuntime, write_fake_bundle
    from edge_sdk.testing.server import ScriptedServer
    from edge_sdk.testing.transport import FakeTransport
    from edge_sdk.testing.trigger import FakeTrigger

__all__ = [
    "FakeCamera",
    "FakeChannel",
    "FakeClock",
    "FakePicamera2",
    "FakeRuntime",
    "FakeTransport",
    "FakeTrigger",
    "ScriptedServer",
    "fake_picamera2",
    "write_fake_bundle",
]

_HOME = {
    "FakeCamera": "camera",
    "FakeChannel": "channel",
    "FakeClock": "clock",
    "FakePicamera2": "picamera",
    "FakeRuntime": "runtime",
    "FakeTransport": "transport",
    "FakeTrigger": "trigger",
    "ScriptedServer": "server",
    "fake_picamera2": "picamera",
    "write_fake_bundle": "runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edge_sdk.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"edge_sdk.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
