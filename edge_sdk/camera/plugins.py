"""Cameras of other packages: an entry point in the group `edge_sdk.cameras` adds a scheme to `open_camera`.

    [project.entry-points."edge_sdk.cameras"]
    thermal = "my_package:open_thermal"

makes `open_camera("thermal://0?gain=2")` call `open_thermal("thermal://0?gain=2", fps=None, on_fault=None)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from edge_sdk.camera.base import Camera, OnFault
from edge_sdk.errors import CameraError, ConfigError, EdgeError
from edge_sdk.redaction import scrub, without_secrets

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

GROUP = "edge_sdk.cameras"
"""Name of the entry point group; an entry's name is the scheme, its value an `OpenCamera`."""


class OpenCamera(Protocol):
    """Opens the cameras of one scheme."""

    def __call__(self, url: str, *, fps: float | None, on_fault: OnFault | None) -> Camera:
        """Open a camera.

        Args:
            url: the whole address, options included.
            fps: at most this many frames per second; None: the camera's own pace.
            on_fault: called with each broken frame and each lost connection.

        Raises:
            CameraError: there is no such camera.
            ConfigError: the address cannot be understood.
        """


def plugin_schemes() -> list[str]:
    """The schemes that installed packages add."""
    return sorted({entry.name.lower() for entry in _entries()})


def open_plugin(scheme: str, url: str, *, fps: float | None, on_fault: OnFault | None) -> Camera:
    """Open a camera of another package.

    Args:
        scheme: of the address, in lower case.
        url: the whole address.
        fps: as in `open_camera`.
        on_fault: as in `open_camera`.

    Raises:
        CameraError, ConfigError: the package says so, or cannot be loaded.
    """
    found = [entry for entry in _entries() if entry.name.lower() == scheme]
    if len({entry.value for entry in found}) != 1:
        raise ConfigError(f"expected one package for {scheme}:// cameras; got {[entry.value for entry in found]}")
    name = without_secrets(url)
    try:
        opener: OpenCamera = found[0].load()
        camera = opener(url, fps=fps, on_fault=on_fault)
    except Exception as error:
        failure = _failure(error, url, found[0].value)
        if failure is error:
            raise
    else:
        if hasattr(camera, "__iter__") and hasattr(camera, "__enter__") and hasattr(camera, "close"):
            return camera
        failure = CameraError(f"{name}: expected a Camera of {found[0].value}; got {type(camera).__name__}")
    raise failure  # outside the handler: an exception that quotes the address is not in this one's chain


def _failure(error: Exception, url: str, opener: str) -> EdgeError:
    """What to raise for a package's exception: this very one, or another without the address's secrets."""
    said = scrub(str(error), url)
    quotes = any(scrub(str(one), url) != str(one) or scrub(repr(one), url) != repr(one) for one in _chain(error))
    if isinstance(error, EdgeError):
        return type(error)(said) if quotes else error
    failure = CameraError(f"{without_secrets(url)}: {opener} failed: {type(error).__name__}: {said}")
    failure.__cause__ = None if quotes else error
    return failure


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and those behind it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _entries() -> EntryPoints:
    from importlib.metadata import entry_points  # half of what the device loads otherwise

    return entry_points(group=GROUP)
