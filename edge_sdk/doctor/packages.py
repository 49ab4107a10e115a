"""The packages that the device needs: each can be imported, here, beside the others."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
from typing import Any

from edge_sdk.doctor.child import Tell
from edge_sdk.doctor.finding import Case, Check, Finding, fault, ok, together, unended, warning

_SUBJECT = "packages"
_NEEDED = {
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "simplejpeg": "simplejpeg",
    "msgspec": "msgspec",
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
}
_LIMIT_S = 90.0  # of importing what is left; a small board with a slow card takes ten seconds


def import_all(given: dict[str, Any], tell: Tell) -> None:
    """Probe: import modules one after the other, and use what is made for each other's memory layout."""
    versions: dict[str, str] = {}
    failed: dict[str, str] = {}
    for module in given["modules"]:
        tell(at=module)
        try:
            importlib.import_module(module)
            if module == "simplejpeg":
                _round_trip()
        except BaseException as error:
            failed[module] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        else:
            versions[module] = importlib.metadata.version(_NEEDED[module]) if _installed(_NEEDED[module]) else ""
        tell(versions=versions, failed=failed)


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # OpenCV has several names
        return False
    return True


def _round_trip() -> None:
    """A picture through simplejpeg, which is compiled against one of numpy's layouts."""
    import numpy as np
    import simplejpeg

    image = np.zeros((16, 16, 3), np.uint8)
    if simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(image)).shape != image.shape:
        raise ValueError("a picture came back in another shape")


def load_native(given: dict[str, Any], tell: Tell) -> None:
    """Probe: the compiled runtime alone."""
    importlib.import_module("edge_sdk._native")


def _packages(case: Case) -> Finding:
    late = None
    waiting, versions, failed = list(_NEEDED), dict[str, str](), dict[str, str]()
    while waiting:
        told = case.machine.ask("edge_sdk.doctor.packages:import_all", {"modules": waiting}, limit_s=_LIMIT_S)
        versions.update(told.values.get("versions", {}))
        failed.update(told.values.get("failed", {}))
        if not told.error:
            break
        at = told.values.get("at")
        if at not in waiting:
            return fault(f"Python cannot run a program of this package: {told.error}", "install edge_sdk anew")
        if told.kind == "timeout":
            late = unended(f"importing {_NEEDED[at]}", _LIMIT_S)
            break
        failed[at] = told.error
        waiting = waiting[waiting.index(at) + 1 :]
    wrong = [_broken(module, why, bool(versions.get("numpy"))) for module, why in failed.items()]
    if late is not None:
        wrong.append(late)
    wrong += _opencv(versions.get("cv2", ""), case.machine.architecture)
    names = (f"{_NEEDED[name]} {version}".strip() for name, version in versions.items())
    return together(", ".join(names), *wrong, versions=versions, failed=failed)


def _opencv(version: str, architecture: str) -> list[Finding]:
    """What is known of releases that pip would not have chosen."""
    if version.startswith("4.11."):
        return [warning("OpenCV 4.11 reads no RTSP over TCP", "pip install 'opencv-python-headless!=4.11.*'")]
    if architecture == "aarch64" and version[:1].isdecimal() and int(version.partition(".")[0]) >= 5:
        return [warning("OpenCV 5 resizes otherwise on aarch64", "pip install 'opencv-python-headless<5'")]
    return []


def _broken(module: str, why: str, has_numpy: bool) -> Finding:
    name = _NEEDED[module]
    if "SIGILL" in why:
        return fault(
            f"importing {name} kills the process (SIGILL): it was built for instructions that this processor "
            f"({platform.machine()}) lacks",
            f"install {name} from a wheel for this processor, or from apt (python3-{module})",
        )
    if has_numpy and ("dtype size changed" in why or "binary incompatib" in why or "_ARRAY_API" in why):
        return fault(
            f"{name} was built for another numpy ({why})",
            f"beside apt's packages, `pip uninstall numpy` in this environment (made with --system-site-packages) lets "
            f"apt's numpy be seen; else `pip install --upgrade --force-reinstall {name}`",
        )
    if why.startswith("ModuleNotFoundError"):
        return fault(f"{name} is missing", f"pip install {name} in this environment, or install the wheel anew")
    if "libGL" in why or "cannot open shared object" in why:
        return fault(f"{name} lacks a library ({why})", f"sudo apt install the library; `ldd` of {name} names it")
    return fault(f"{name} cannot be imported ({why})", f"pip install --force-reinstall {name}")


def _runtime(case: Case) -> Finding:
    told = case.machine.ask("edge_sdk.doctor.packages:load_native", {}, limit_s=_LIMIT_S)
    if not told.error:
        return ok("the native runtime loads", native=True)
    if told.kind == "timeout":
        return unended("loading the native runtime", _LIMIT_S)
    if told.crashed:
        return fault(
            f"loading the native runtime kills the process ({told.kind})",
            "it was built for another processor: install the wheel for this one, or build it here "
            "(`pip install .` in the checkout, with a C++20 compiler)",
            native=False,
        )
    from importlib.util import find_spec

    if find_spec("executorch") is not None:
        return warning(
            f"there is no native runtime ({told.error}): the executorch package runs the model, and starts in seconds",
            "install a wheel with the runtime, or a compiler (`sudo apt install g++`) and `pip install .` again",
            native=False,
        )
    return fault(
        f"there is no native runtime ({told.error}), nor the executorch package: no little model can run",
        "install a wheel with the runtime, or a compiler (`sudo apt install g++`) and `pip install .` again",
        native=False,
    )


CHECKS = (
    Check("packages", _SUBJECT, _packages, limit_s=3 * _LIMIT_S),
    Check("runtime", _SUBJECT, _runtime, limit_s=_LIMIT_S + 5),
)
