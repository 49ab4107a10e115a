"""Five kinds of networks, tiny: exported whole to XNNPACK, and on the device they answer like the original."""

from pathlib import Path
from typing import Any

import pytest
import torch
from rewriting import COLOURS, coloured, fit

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.timm_library import import_timm
from edge_sdk.workbench.export import export

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code

MIXERS = {"mlp_ratios": (3, 3), "token_mixers": ("repmixer", "attention")}
NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "resnet10t": (48, {"channels": [8, 8, 16, 16], "stem_width": 8}),
    "convnext_atto": (32, {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32), "ls_init_value": 0.5}),
    "vit_tiny_patch16_224": (32, {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}),
    "fastvit_t8": (32, {"layers": (1, 1), "embed_dims": (16, 32), **MIXERS, "layer_scale_init_value": 0.5}),
    "mobilenetv3_small_050": (48, {}),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_exported_whole_and_answers_like_the_original(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    side, options = NETWORKS[name]
    spec = InputSpec(side, side, (0.5,) * 3, (0.25,) * 3)
    network = import_timm().create_model(name, num_classes=3, **options).eval()
    if name.startswith("mobilenet"):
        for stage in network.blocks:
            del stage[1:]  # a block of each kind
    fit(network, coloured(90, side, 0), spec, steps=24)
    report = export(
        network,
        coloured(32, side, 1),
        tmp_path / "bundle",
        held_out=coloured(90, side, 2),
        labels=COLOURS,
        input=spec,
        name=name,
        version="1",
        effort="fast",
    )
    assert report.outside == ()
    assert report.agreement >= 0.95
    assert report.float_accuracy is not None and report.float_accuracy > 0.8
