"""What has no observer stays in float32."""

from __future__ import annotations

import copy

import pytest
import torch
from int8_parts import Reaching, made

from edge_sdk.workbench.observers import remove_observers, without_observers

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def observers(prepared: torch.fx.GraphModule) -> int:
    return sum(str(node.target).startswith("activation_post_process") for node in prepared.graph.nodes)


def test_without_observers_a_network_computes_as_it_did() -> None:
    prepared, _, _, pictures = made()
    reference = without_observers(copy.deepcopy(prepared))
    assert observers(reference) == 0
    torch.testing.assert_close(reference(pictures[0]), Reaching().eval()(pictures[0]))


def test_only_those_that_are_chosen_go() -> None:
    prepared = copy.deepcopy(made()[0])
    before = observers(prepared)
    remove_observers(prepared, lambda source, observer: source.op == "get_attr")
    assert observers(prepared) == before - 4  # the weights of four layers
