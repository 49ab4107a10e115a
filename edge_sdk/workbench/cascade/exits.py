"""Which recorded frames exit by a policy, each by the rule of the look that was made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.policy import Policy
from edge_sdk.workbench.cascade.curve import Bools
from edge_sdk.workbench.cascade.gate import gains
from edge_sdk.workbench.records import Records


def exits_of(policy: Policy, little: Records, chances: NDArray[np.float32]) -> Bools:
    """`bool (N,)`: frames that exit as confident, as `ExitPolicy` decides.

    Args:
        policy: the bundle's.
        little: its records.
        chances: `float32 (N, C)`, what they say (`Records.calibrated_by`).
    """
    near, exits = little.with_region, np.zeros(len(little), np.bool_)
    for looked in (False, True):
        rows, rule = near == looked, policy.of_look(looked)
        if rule.gate is None:
            exits[rows] = chances[rows].max(axis=1) >= rule.threshold
        elif rows.any():
            exits[rows] = gains(rule.gate, chances[rows]) <= rule.gate.exit_at_or_below
    return exits
