"""Which runtime runs a bundle where none is named, and what to do where there is none.

    python -m edge_sdk.model.default_runtime

says on standard error what this install lacks; exit code 0: all is there, 1: it runs on the executorch package, 2: no
little model can run.
"""

from __future__ import annotations

import importlib
import logging
import sys
from importlib.util import find_spec

from edge_sdk.errors import RuntimeMissing
from edge_sdk.model.runtime import Runtime

NATIVE = "edge_sdk._native"
_PACKAGE = "executorch.runtime"
_DISTRIBUTION, _EXTRA = "edge-cascade", "runtime"
_log = logging.getLogger(__name__)


def default_runtime() -> Runtime:
    """ExecuTorch: the compiled module `edge_sdk._native`, or the executorch package where it is missing.

    Raises:
        RuntimeMissing: neither is installed.
    """
    try:
        importlib.import_module(NATIVE)
        from edge_sdk.model.native_runtime import NativeRuntime

        return NativeRuntime()
    except ImportError as error:
        missing = error
    try:
        importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise RuntimeMissing(_nothing(f"{missing}; {error}")) from missing
    from edge_sdk.model.executorch_runtime import ExecutorchRuntime

    _log.warning("%s", _fallback(missing))
    return ExecutorchRuntime()


def check_runtime() -> None:
    """Look for a runtime without loading one, which takes seconds for the executorch package.

    Raises:
        RuntimeMissing: neither is installed.
    """
    if find_spec(NATIVE) is None and find_spec("executorch") is None:
        raise RuntimeMissing(_nothing(f"no module {NATIVE}, no package executorch"))


def main() -> int:
    """Say what this install lacks."""
    try:
        importlib.import_module(NATIVE)
    except ImportError as error:
        native = error
    else:
        return 0
    package = find_spec("executorch") is not None
    text = _fallback(native) if package else _nothing(f"{native}; no package executorch")
    sys.stderr.write(f"edge-sdk: {text}\n")
    return 1 if package else 2


def _nothing(reason: str) -> str:
    return (
        "no little model can run here: not EdgeClassifier, the camera loop, nor edge-sdk info and classify. This "
        f"install has no native runtime, because it was built without a C++ compiler or for another Python ({reason}). "
        f"To mend it: {_cure()}"
    )


def _fallback(reason: ImportError) -> str:
    return (
        "this install has no native runtime, because it was built without a C++ compiler or for another Python "
        f"({reason}): the little model runs on the executorch package, which loads torch and starts in seconds. With a "
        "compiler (sudo apt install g++), `pip install .` in the checkout builds it"
    )


def _cure() -> str:
    """The command that installs what the extra `runtime` holds; the distribution itself stands on no index."""
    import importlib.metadata  # half of what the device loads otherwise

    try:
        required = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        required = []
    packages = [one.split(";")[0].strip() for one in required if f"extra == '{_EXTRA}'" in one.replace('"', "'")]
    return f"{sys.executable} -m pip install {' '.join(packages or ['executorch'])}"


if __name__ == "__main__":
    raise SystemExit(main())
