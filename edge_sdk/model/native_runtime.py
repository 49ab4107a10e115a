"""ExecuTorch's C++ runtime, compiled into `edge_sdk._native`: the default."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.inputs import InputSpec
from edge_sdk.model.runtime import Program

_NO_XNNPACK = "Backend XnnpackBackend is not available"
_PROCESSORS = "/sys/devices/system/cpu"


class NativeRuntime:
    """Runs `model.pte` in `edge_sdk._native`, which needs neither torch nor executorch."""

    name = "native"
    format = "executorch"

    def load(self, path: Path, spec: InputSpec, threads: int) -> Program:
        """See `Runtime.load`."""
        native = importlib.import_module("edge_sdk._native")
        try:
            return cast(Program, native.Program(str(path), spec.mean, spec.std, threads))
        except ValueError as error:
            raise ConfigError(str(error)) from error
        except RuntimeError as error:
            if _NO_XNNPACK in str(error):
                raise BundleError(
                    f"{path}: XNNPACK does not start here, which most often means that it cannot read what processor "
                    f"this is: expected the folder {_PROCESSORS}; {_said_of_processors()}. A sandbox, chroot or "
                    "container without /sys needs it mounted (read-only does)"
                ) from error
            raise BundleError(f"{path}: expected a program that the runtime can load; got: {error}") from error


def _said_of_processors() -> str:
    return "it is there" if Path(_PROCESSORS, "possible").is_file() else "it is missing"
