"""int8, and what stays in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.export import export
from edge_sdk.workbench.specialize.bundles import bundle_logits
from edge_sdk.workbench.specialize.samples import Samples

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code

SPEC = InputSpec(16, 16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
LABELS = ("red", "green", "blue")


class Colours(nn.Module):
    """Names the strongest colour; one of its hidden units reaches `reach` times further than those that matter."""

    def __init__(self, reach: float) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 3, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(3, 4)
        self.head = nn.Linear(4, 3)
        with torch.no_grad():
            self.look.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            self.hidden.weight.copy_(torch.cat([torch.eye(3), torch.full((1, 3), reach)]))
            self.head.weight.copy_(torch.eye(3, 4))
            for layer in (self.look, self.hidden, self.head):
                layer.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.pool(self.look(x)).flatten(1)))  # type: ignore[no-any-return]


def pictures() -> Samples:
    """Of one colour each, none of them far ahead."""
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 3, 90)
    images = rng.integers(90, 110, (90, 16, 16, 3)).astype(np.uint8)
    images[np.arange(90), ..., truths] += 40
    return Samples(images, truths, LABELS)


@pytest.mark.parametrize(
    ("reach", "spare", "float_layers", "right"), [(1.0, True, 0, 1.0), (1e4, True, 2, 1.0), (1e4, False, 0, None)]
)
def test_layers_whose_activations_reach_too_far_stay_in_float(
    tmp_path: Path, reach: float, spare: bool, float_layers: int, right: float | None
) -> None:
    samples = pictures()
    settings = {"labels": LABELS, "input": SPEC, "name": "colours", "version": "1"}
    report = export(Colours(reach), list(samples.images), tmp_path / "bundle", spare=spare, **settings)  # type: ignore[arg-type]
    found = float((bundle_logits(report.bundle, samples).argmax(1) == samples.truths).mean())
    assert report.float_layers == float_layers
    assert report.agreement == found
    if right is None:
        assert found < 0.7
    else:
        assert found == right
