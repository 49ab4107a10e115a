"""Whether the budgets pay for what the device is to do, by the frames as they were measured."""

from __future__ import annotations

from edge_sdk.budget.limits import Budget, Resource, parse_budgets
from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, together, warning
from edge_sdk.errors import ConfigError
from edge_sdk.wire.cost import CONNECTION_BYTES, frame_bytes

_SUBJECT = "budgets"
_DAY_S = 86_400.0
_FEW_A_DAY = 10.0
_MESSAGE_BYTES = 100  # of a frame's id, event and region
_WORDS = "a budget has the form 5MB/day, 200 frames/day, 2GMAC/s or 3kJ/h"


def _read(text: str, *resources: Resource) -> tuple[Budget, ...] | Finding:
    try:
        return parse_budgets(text, *resources)
    except ConfigError as error:
        return fault(str(error), _WORDS)


def _upload(case: Case) -> Finding | None:
    asked = case.asked
    if asked.upload_budget is None:
        return (
            None
            if asked.cloud is None
            else note("none was named: what is sent has no limit", "--upload-budget 5MB/day")
        )
    budgets = _read(asked.upload_budget, Resource.UPLOAD, Resource.FRAMES)
    if isinstance(budgets, Finding):
        return budgets
    measured = case.value("camera", "frame_bytes")
    picture = measured or case.value("bundle", "frame_bytes")
    if picture is None:
        return note(f"{asked.upload_budget}: no frame could be measured to compare it with")
    each = frame_bytes(picture + _MESSAGE_BYTES)
    opening = CONNECTION_BYTES + asked.security.handshake_bytes
    needed = case.value("store", "offloaded_per_day")
    wrong, said, least = [], [], float("inf")
    for budget in budgets:
        in_frames = budget.resource is Resource.FRAMES
        count = float(budget.limit) if in_frames else max(0.0, (budget.limit - opening) / each)
        a_day = count * _DAY_S / budget.period_s
        least = min(least, a_day)
        said.append(f"{budget.describe()} pays for {_rate(a_day)}")
        if count < 1:
            wrong.append(
                fault(
                    f"{budget.describe()} does not pay for one connection ({opening / 1e3:.1f} kB) and one frame "
                    f"({each / 1e3:.1f} kB): nothing is ever sent",
                    "a larger budget, a longer period with the same rate (5kB/min -> 7MB/day), or smaller renditions "
                    "(`edge-sdk ladder`)",
                )
            )
        elif needed and a_day < needed:
            wrong.append(
                warning(
                    f"this device has offloaded {needed:,.0f} frames/day lately: some exit, or wait for days",
                    "a larger budget, smaller renditions (`edge-sdk ladder`), --send region, or answers by event",
                )
            )
        elif a_day < _FEW_A_DAY:
            wrong.append(
                warning(
                    f"that is {_rate(a_day)}",
                    "a larger budget, smaller renditions (`edge-sdk ladder`), or --send region",
                )
            )
    of = f"{'a camera frame' if measured else 'a usual frame'} of {each / 1e3:.1f} kB on the wire"
    values = {"frame_wire_bytes": each, "connection_bytes": opening, "frames_per_day": round(least, 1)}
    return together(f"{'; '.join(said)}, {of}", *wrong, **values)


def _rate(a_day: float) -> str:
    if a_day >= 2 * _DAY_S:
        return f"{a_day / _DAY_S:,.0f} frames/s"
    return f"{a_day:,.0f} frames/day" if a_day >= 1 else f"a frame every {1 / max(a_day, 1e-9):,.0f} days"


def _compute(case: Case) -> Finding | None:
    asked = case.asked
    if asked.compute_budget is None:
        return None
    budgets = _read(asked.compute_budget, Resource.COMPUTE, Resource.ENERGY)
    if isinstance(budgets, Finding):
        return budgets
    macs, milliseconds = case.value("bundle", "macs"), case.value("bundle", "frame_ms")
    if macs is None or milliseconds is None:
        return note(f"{asked.compute_budget}: no frame could be measured to compare it with")
    if asked.watts is None and any(one.resource is Resource.ENERGY for one in budgets):
        return warning(
            f"{asked.compute_budget}: without the power of this device, frames cost no joules",
            "measure it with a meter on the supply line: --watts 3 (power=PowerModel(3.0))",
        )
    wrong, said, least = [], [], float("inf")
    for budget in budgets:
        is_energy = budget.resource is Resource.ENERGY
        each = 1e3 * (asked.watts or 0.0) * milliseconds if is_energy else float(macs)  # microjoules, or MACs
        count = budget.limit / each if each else float("inf")
        a_second = count / budget.period_s
        least = min(least, a_second)
        said.append(f"{budget.describe()} pays for {a_second:.3g} frames/s")
        if count < 1:
            wrong.append(
                fault(
                    f"{budget.describe()} does not pay for one frame: no frame is ever looked at",
                    "a larger budget, or a smaller model (`edge-sdk specialize`)",
                )
            )
    rate = case.value("camera", "frames_per_s") if case.value("camera", "live") else None
    if not wrong and rate and rate > least:
        wrong.append(
            note(
                f"the camera gives {rate:.3g} frames/s: those beyond are answered without a look, or left out",
                "the motion gate chooses; or ask the camera for fewer frames (fps=...)",
            )
        )
    return together("; ".join(said), *wrong, frames_per_s=round(least, 4) if least < float("inf") else None)


def _cloud(case: Case) -> Finding | None:
    asked = case.asked
    if asked.cloud_budget is None:
        return None
    budgets = _read(asked.cloud_budget, Resource.CLOUD)
    if isinstance(budgets, Finding):
        return budgets
    macs = case.value("server", "macs")
    if not macs:
        return note(f"{asked.cloud_budget}: the server did not say what a frame costs it")
    wrong, said, least = [], [], float("inf")
    for budget in budgets:
        a_day = budget.limit / macs * _DAY_S / budget.period_s
        least = min(least, a_day)
        said.append(f"{budget.describe()} pays for {_rate(a_day)}")
        if budget.limit < macs:
            wrong.append(
                fault(f"{budget.describe()} does not pay for one frame of the big model", "a larger --cloud-budget")
            )
    return together("; ".join(said), *wrong, frames_per_day=round(least, 1)) if said else ok("")


CHECKS = (
    Check("upload-budget", _SUBJECT, _upload),
    Check("compute-budget", _SUBJECT, _compute),
    Check("cloud-budget", _SUBJECT, _cloud),
)
