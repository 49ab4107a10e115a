"""A converted network, cut into what int8 or float32 is chosen for."""

from __future__ import annotations

import copy

import pytest
import torch
from int8_parts import made, trial

from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.segments import Segments, keep_in_float
from edge_sdk.workbench.walk import walk

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def test_segments_have_the_names_of_their_layers() -> None:
    _, network, reference, _ = made()
    assert Segments(network, reference).names == ["a", "b", "c", "d"]


def test_all_segments_in_float_are_the_float_network_but_for_its_input() -> None:
    whole = trial(made())
    assert whole.compared().error > 0.05
    assert whole.compared(whole.segments.in_float({0, 1, 2, 3})).error < 1e-3


@pytest.mark.parametrize("chosen", [{1, 2}, {3}, {0, 1}, {0, 1, 2, 3}, {2}])
def test_a_trial_computes_what_is_exported(chosen: set[int]) -> None:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    prepared, network, _, pictures = made()
    with quiet():
        exported = convert_pt2e(keep_in_float(copy.deepcopy(prepared), chosen))
    instead = trial(made()).segments.in_float(chosen)
    torch.testing.assert_close(torch.cat(walk(network, pictures, instead=instead)), torch.cat(walk(exported, pictures)))
