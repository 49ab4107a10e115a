"""The rule on frames that look like none of calibration, from the records of a calibration."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import open_bundle, write_policy
from edge_sdk.model.outside import OutsideRule
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.cascade.exits import exits_of
from edge_sdk.workbench.records import Records

FEWEST = 50
"""Exits of a class below which its limit is that of all classes."""


def outside_rule(little: Records, policy: Policy, share: float) -> OutsideRule:
    """The limits below which a share of the calibration frames that exit lies, by the class that is named.

    Args:
        little: the bundle's records, with the energy of each frame.
        policy: the bundle's, calibrated.
        share: of the exits that are sent in addition, in (0, 1).

    Raises:
        WorkbenchError: the energies are not known, or no frame exits.
    """
    if little.energy is None:
        raise WorkbenchError(
            "expected records with the energy of each frame; these have none, as records of two looks a frame: "
            "run `edge-sdk records` or calibrate with --data and one view"
        )
    chances = little.calibrated_by(policy)
    exits = exits_of(policy, little, chances)
    if not exits.any():
        raise WorkbenchError("expected frames that exit; with this policy none of these does")
    energies = little.energy.astype(np.float64)
    overall = float(np.quantile(energies[exits], share))
    least = []
    for number in range(len(little.info.labels)):
        mine = energies[exits & (chances.argmax(axis=1) == number)]
        least.append(round(float(np.quantile(mine, share)) if len(mine) >= FEWEST else overall, 4))
    return OutsideRule(least=tuple(least), share=share)


def write_outside(path: Path, little: Records, share: float) -> OutsideRule:
    """Write the rule into a calibrated bundle's `policy.json`.

    Raises:
        BundleError: the bundle cannot be used or written.
        WorkbenchError: as in `outside_rule`.
    """
    policy = open_bundle(path).policy
    rule = outside_rule(little, policy, share)
    write_policy(path, msgspec.structs.replace(policy, outside=rule))
    return rule
