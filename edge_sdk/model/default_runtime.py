"""Which runtime runs a bundle where none is named."""

from __future__ import annotations

import importlib
import logging

from edge_sdk.errors import RuntimeMissing
from edge_sdk.model.runtime import Runtime

_log = logging.getLogger(__name__)


def default_runtime() -> Runtime:
    """ExecuTorch: the compiled module `edge_sdk._native`, or the executorch package where it is missing.

    Raises:
        RuntimeMissing: neither is installed.
    """
    try:
        importlib.import_module("edge_sdk._native")
        from edge_sdk.model.native_runtime import NativeRuntime

        return NativeRuntime()
    except ImportError as error:
        missing = error
    try:
        importlib.import_module("executorch.runtime")
    except ImportError as error:
        raise RuntimeMissing(
            f"expected the compiled module edge_sdk._native or the executorch package; got neither "
            f"({missing}; {error}). "
            'Either `pip install ".[runtime]"`, or install a C++ compiler (g++) and install the checkout again'
        ) from missing
    from edge_sdk.model.executorch_runtime import ExecutorchRuntime

    _log.warning("running on the executorch package, which loads torch: %s", missing)
    return ExecutorchRuntime()
