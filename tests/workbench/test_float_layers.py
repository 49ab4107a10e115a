"""Which layers lose most in int8, and which are left in float32."""

from __future__ import annotations

import pytest
from int8_parts import made, trial

from edge_sdk.workbench.float_layers import choose_float_layers, layer_losses

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def test_the_layer_that_loses_most_is_named_and_kept_in_float() -> None:
    whole = trial(made())
    told: list[tuple[int, int]] = []
    losses = layer_losses(whole, lambda done, of: told.append((done, of)))
    assert losses[0].name == "b" and losses[0].share > 0.5 and told[-1] == (4, 4)
    chosen = choose_float_layers(whole, whole)
    assert {1, 2} <= chosen
    assert whole.compared(whole.segments.in_float(chosen)).error < 0.1 * whole.compared().error
