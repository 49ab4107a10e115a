"""A source of frames that is not there yet: a card that is still to be put in, a camera of another package."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge_sdk.camera.base import Camera, CameraBase, OnFault
from edge_sdk.camera.live import Backoff
from edge_sdk.errors import CameraError
from edge_sdk.types import Frame


class WaitingCamera(CameraBase):
    """Tries to open a camera until it is there, then hands on its frames.

    Args:
        name: the camera's, in faults.
        opener: opens it; raises `CameraError` where it cannot.
        on_fault: called at each failed try.
        backoff: the waits between tries.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], Camera],
        *,
        on_fault: OnFault | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(on_fault)
        self._name = name
        self._opener = opener
        self._backoff = backoff or Backoff()
        self._camera: Camera | None = None

    def __iter__(self) -> Iterator[Frame]:
        camera = self._camera or self._open()
        if camera is not None:
            yield from camera

    def close(self) -> None:
        """End the wait, and close the camera if it has come."""
        super().close()
        if self._camera is not None:
            self._camera.close()

    def _open(self) -> Camera | None:
        for wait_s in self._backoff.waits():
            try:
                self._camera = self._opener()
            except CameraError as error:
                self._report(self._name, error)
            else:
                if self._stopped.is_set():
                    self._camera.close()
                return self._camera
            if self._stopped.wait(wait_s):
                break
        return None
