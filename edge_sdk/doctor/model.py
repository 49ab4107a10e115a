"""The bundle: its golden picture gives the expected output here, and how long one frame takes."""

from __future__ import annotations

import resource
import time
from typing import Any

from edge_sdk.doctor.board import megabytes
from edge_sdk.doctor.child import Tell
from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, together, unended, warning

_SUBJECT = "model"
_LIMIT_S = 180.0
_MEASURE_S, _LEAST_RUNS, _MOST_RUNS = 1.0, 3, 200
_USUAL_SIZE = (640, 480)


def run_bundle(given: dict[str, Any], tell: Tell) -> None:
    """Probe: open a bundle, check its golden picture, and time frames of a size."""
    from edge_sdk.images.encode import encode
    from edge_sdk.model.bundle import open_bundle, read_golden
    from edge_sdk.model.little import LittleModel
    from edge_sdk.model.made_for import doubt

    tell(stage="reading the bundle")
    bundle = open_bundle(given["bundle"])
    manifest, policy = bundle.manifest, bundle.policy
    tell(
        path=str(bundle.path),
        name=manifest.name,
        version=manifest.version,
        labels=len(manifest.labels),
        macs=manifest.macs,
        calibrated=bool(policy.calibration),
        upload=policy.upload.name,
        doubt=doubt(manifest, given["camera"] or "") if given["camera"] else "",
        big=policy.big.name if policy.big is not None else "",
    )
    tell(stage="loading the network and running the golden picture")
    begin_s = time.perf_counter()
    with LittleModel(bundle) as model:
        tell(runtime=model.runtime, load_s=round(time.perf_counter() - begin_s, 3))
        golden = read_golden(bundle)
        tell(golden_frame_bytes=len(encode(golden, policy.upload)))
        tell(stage="timing frames")
        width, height = given["size"]
        picture, taken_s = _fill(golden, width, height), list[float]()
        model.predict(picture)
        until_s = time.perf_counter() + _MEASURE_S
        while len(taken_s) < _MOST_RUNS and (len(taken_s) < _LEAST_RUNS or time.perf_counter() < until_s):
            begin_s = time.perf_counter()
            model.predict(picture)
            taken_s.append(time.perf_counter() - begin_s)
        taken_s.sort()
        tell(frame_ms=round(1e3 * taken_s[len(taken_s) // 2], 3), slowest_ms=round(1e3 * taken_s[-1], 3))
        tell(frame_bytes=len(encode(picture, policy.upload)), size=[width, height], stage="")
        tell(peak_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _fill(image: Any, width: int, height: int) -> Any:
    """A picture of this size that shows `image` again and again."""
    import numpy as np

    rows, columns = -(-height // image.shape[0]), -(-width // image.shape[1])
    return np.ascontiguousarray(np.tile(image, (rows, columns, 1))[:height, :width])


def _bundle(case: Case) -> Finding:
    asked = case.asked
    size = case.value("camera", "width"), case.value("camera", "height")
    given = {"bundle": asked.little, "camera": asked.camera, "size": size if size[0] else _USUAL_SIZE}
    told = case.machine.ask("edge_sdk.doctor.model:run_bundle", given, limit_s=_LIMIT_S - 5)
    values = {key: value for key, value in told.values.items() if key != "doubt"}
    if told.error and "frame_ms" not in values:
        stage = values.get("stage", "")
        if told.crashed:
            return fault(
                f"{stage or 'the model'} kills the process ({told.kind})",
                "the runtime was built for another processor, or the bundle is damaged: install the wheel for this "
                "processor; copy the bundle again",
                **values,
            )
        if told.kind == "timeout":
            return unended(stage or "the start of Python", _LIMIT_S - 5)
        if told.kind == "RuntimeMissing":
            return fault(told.error.partition(" To mend it: ")[0], "see the check `runtime`", **values)
        cure = "copy the bundle again; `edge-sdk info` and docs/errors.md say more"
        if "wrong results" in told.error:
            cure = "install the wheel for this processor, on the processor itself: an emulator may compute otherwise"
        return fault(told.error, cure, **values)
    said = f"{values['name']} {values['version']}, {values['labels']} labels, {values['runtime']} runtime: "
    said += f"the golden picture gives the expected output; loads in {values['load_s']:.2f} s"
    if "peak_bytes" in values:
        said += f", {megabytes(values['peak_bytes'])} with Python"
    wrong = []
    if told.values.get("doubt"):
        wrong.append(
            warning(
                told.values["doubt"], "make one of your pictures, or a pair of ImageNet models with `edge-sdk photos`"
            )
        )
    if not values["calibrated"]:
        wrong.append(
            note(
                "it is not calibrated: a cautious threshold holds, and many frames go to the cloud",
                "edge-sdk calibrate",
            )
        )
    return together(said, *wrong, **values)


def frames_a_second(rate: float) -> str:
    """A pace in words."""
    return f"{rate:,.0f} frames/s" if rate >= 100 else f"{rate:.3g} frames/s"


def _speed(case: Case) -> Finding | None:
    milliseconds = case.value("bundle", "frame_ms")
    if milliseconds is None:
        return None
    width, height = case.value("bundle", "size")
    rate = 1e3 / max(1e-3, milliseconds)
    said = f"{milliseconds:,.0f} ms" if milliseconds >= 100 else f"{milliseconds:.3g} ms"
    said += f" for a frame of {width}x{height} ({frames_a_second(rate)} on one core)"
    values = {"frame_ms": milliseconds, "frames_per_s": round(rate, 2)}
    camera_rate = case.value("camera", "frames_per_s") if case.value("camera", "live") else None
    if camera_rate and camera_rate > rate:
        return warning(
            f"{said}: the camera gives {frames_a_second(camera_rate)}, so frames are left out",
            "ask the camera for fewer or smaller frames (fps=..., ?size=640x480), or let the motion gate choose",
            **values,
        )
    return ok(said, **values)


CHECKS = (Check("bundle", _SUBJECT, _bundle, limit_s=_LIMIT_S), Check("speed", _SUBJECT, _speed))
