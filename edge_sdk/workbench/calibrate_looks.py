"""Calibration by what was looked at: a rule for frames seen whole, and one for those of which a region was looked at.

The mean of two looks is surer and more often right than one look at the whole, so temperature, gate and threshold that
fit the one are wrong for the other. Each rule is found on its own frames, and promises something of these alone.
Beside a rule for frames seen whole that stays, the frames that a motion gate admitted though nothing moved get one.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.policy import LookRule, Policy, StillRule
from edge_sdk.workbench.calibrate import calibrate_records
from edge_sdk.workbench.calibration import FEWEST, Calibration, Rule
from edge_sdk.workbench.cascade.curve import Bools
from edge_sdk.workbench.records import Records, check_same

_FIELDS = LookRule.__struct_fields__
_STILL = StillRule.__struct_fields__
WHOLE, NEAR, STILL = "frames seen whole", "frames with a region", "frames in which nothing moves"


@dataclass(frozen=True, slots=True, eq=False)
class LookCalibration:
    """The result.

    Attributes:
        policy: to be written into the bundle, with both rules.
        frames: of frames seen whole, or of all frames where there is one rule; None: that rule stays as it was.
        regions: of frames of which a region was looked at; None: they have no rule of their own.
        note: why there is one rule for both, or none for frames in which nothing moves; "": nothing is to be said.
        still: of frames that a motion gate admitted though nothing moved; None: they have no rule of their own.
    """

    policy: Policy
    frames: Calibration | None
    regions: Calibration | None
    note: str = ""
    still: Calibration | None = None

    @property
    def parts(self) -> list[tuple[str, Calibration]]:
        """What was calibrated, with the name of its frames; "": all of them."""
        named = ((WHOLE if self.regions else "", self.frames), (NEAR, self.regions), (STILL, self.still))
        return [(name, one) for name, one in named if one is not None]

    def sentences(self) -> list[str]:
        """The result in words."""
        return [f"{name.capitalize()}: {one.sentence()}" if name else one.sentence() for name, one in self.parts]


def calibrate_looks(
    little: Records,
    big: Records,
    rule: Rule,
    *,
    upload: Upload | None = None,
    region_upload: Upload | None = None,
    learned_gate: bool = True,
    kept: Policy | None = None,
    still_rule: Rule | None = None,
) -> LookCalibration:
    """Find one rule, or two where the bundle looked at a region of some frames and saw others whole.

    Where frames of one kind are too few for a rule of their own, or cannot give the promise that is asked for, one
    rule is found on all frames, and `LookCalibration.note` says why.

    Args:
        little: as in `calibrate_records`.
        big: as in `calibrate_records`.
        rule: how each threshold is chosen.
        upload: how whole frames travel, for the policy.
        region_upload: how regions travel, for the policy; None: as `upload`.
        learned_gate: as in `calibrate_records`.
        kept: a policy whose rule for frames seen whole stays: that for frames with a region is found, and one for
            frames without a region that belong to no visit, where there are enough of them.
        still_rule: how the threshold of these last is chosen; None: as the others.

    Raises:
        WorkbenchError: as in `calibrate_records`; with `kept`, no frame has a region, or that policy was found with
            another big model.
    """
    check_same(little, big)
    near = little.with_region

    def found(rows: Bools) -> Calibration:
        part = (little, big) if rows.all() else (little.part(rows), big.part(rows))
        return calibrate_records(*part, rule, upload=upload, region_upload=region_upload, learned_gate=learned_gate)

    def one_rule(note: str = "") -> LookCalibration:
        one = found(near | ~near)
        return LookCalibration(one.policy, one, None, note)

    if kept is not None:
        _check_kept(kept, big)
        if not near.any():
            raise WorkbenchError("expected frames of which a region was looked at (--view both or region); got none")
        regions = found(near)
        joined = _joined(kept, regions.policy)
        still, note = _still(little, big, still_rule or rule, kept, learned_gate)
        if still is not None:
            own = StillRule(**{name: getattr(still.policy, name) for name in _STILL})
            joined = msgspec.structs.replace(joined, still=own)
        return LookCalibration(joined, None, regions, note, still)
    if near.all() or not near.any():
        return one_rule()
    parts: dict[str, Calibration] = {}
    for name, rows in ((WHOLE, ~near), (NEAR, near)):
        try:
            if rows.sum() < FEWEST:
                raise WorkbenchError(f"expected at least {FEWEST} of them; got {rows.sum()}")
            parts[name] = found(rows)
        except WorkbenchError as error:
            return one_rule(f"one rule for all frames; {name} get none of their own: {error}")
    return LookCalibration(_joined(parts[WHOLE].policy, parts[NEAR].policy), parts[WHOLE], parts[NEAR])


def _still(
    little: Records, big: Records, rule: Rule, kept: Policy, learned_gate: bool
) -> tuple[Calibration | None, str]:
    """What is found for frames in which nothing moves; None, and why, where they get no rule of their own."""
    if little.times is None:
        return None, ""
    rows = ~little.with_region & np.isnan(little.times)
    if not rows.any():
        return None, ""
    try:
        if rows.sum() < FEWEST:
            raise WorkbenchError(f"expected at least {FEWEST} of them; got {rows.sum()}")
        found = calibrate_records(
            little.part(rows),
            big.part(rows),
            rule,
            learned_gate=learned_gate,
            allow_ensemble=False,
            temperature=kept.temperature,
        )
        return found, ""
    except WorkbenchError as error:
        return None, f"{STILL} get no rule of their own: {error}"


def _joined(whole: Policy, near: Policy) -> Policy:
    """The policy of both rules; all else is that of `near`."""
    own = {name: getattr(whole, name) for name in _FIELDS}
    return msgspec.structs.replace(near, **own, regions=LookRule(**{name: getattr(near, name) for name in _FIELDS}))


def _check_kept(kept: Policy, big: Records) -> None:
    """Check that a rule that stays was found with this big model."""
    known, given = kept.big, big.info.reference
    if known is None:
        raise WorkbenchError("expected a bundle whose rule for whole frames was calibrated; calibrate that first")
    if known.name != given.name or (known.fingerprint and given.fingerprint and known.fingerprint != given.fingerprint):
        raise WorkbenchError(
            f"expected the big model that the rule for whole frames was calibrated with ({known.name} "
            f"{known.fingerprint}); got {given.name} {given.fingerprint}: calibrate without --regions-only"
        )
