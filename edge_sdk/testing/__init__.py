"""Public stand-ins for the parts that a program brings itself: for tests without a camera, a network or a cloud."""

from edge_sdk.testing.camera import FakeCamera
from edge_sdk.testing.clock import FakeClock
from edge_sdk.testing.runtime import FakeRuntime, write_fake_bundle

__all__ = ["FakeCamera", "FakeClock", "FakeRuntime", "write_fake_bundle"]
