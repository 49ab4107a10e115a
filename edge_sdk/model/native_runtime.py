"""ExecuTorch's C++ runtime, compiled into `edge_sdk._native`: the default."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.inputs import InputSpec
from edge_sdk.model.runtime import Program


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
            raise BundleError(f"{path}: expected a program that the runtime can load; got: {error}") from error
