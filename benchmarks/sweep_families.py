"""One small network of each timm family: exported whole, how often int8 names the class of float32, size and latency.

    python benchmarks/sweep_families.py --data FOLDER [--out sweep.jsonl] [--only NAME ...] [--again]

No hub is asked, so the networks have no pretrained weights. Each is lightly trained on two classes of photos that are
easy to tell apart, at a small input: AdamW with a warm-up and a cosine, batch 32, every other batch mirrored, until
`TRAIN_S` seconds of processor time are spent or the mean loss of ten steps is below `LEARNT`. Networks without batch
norm begin with each layer scaled so that its outputs on pictures have mean 0 and deviation 1 (Kraehenbuehl et al. 2016,
"Data-dependent Initializations of CNNs"). At the end, batch norms get the statistics of 256 training pictures.

FOLDER holds one folder a class. A picture's name decides whether it trains, calibrates int8 or is measured, never two
of these. "same class" is over all measured pictures: the bundle in the device's runtime against the float network.
"float" and "int8" are their accuracies on these pictures, "loss" is the training's last. `--out` keeps each network's
result as it comes: a second run goes on where the first ended (`--again` repeats those that fell short). A network that
takes more than `LIMIT_S` seconds of processor time is given up.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import signal
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.read import read_image
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.timm_library import import_timm
from edge_sdk.workbench.export import export
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.lowering import quiet

CLASSES = ("lion", "moving_van")
FIT, CALIBRATE, MEASURE = 800, 32, 100  # pictures, over all classes
TRAIN_S, LEARNT = 8, 0.1  # processor's seconds; loss
BATCH, WARM_UP, SETTLING = 32, 15, 256  # pictures, steps, pictures
RATE, RATE_OF_NORMS = 2e-3, 6e-3  # without and with batch norm
LIMIT_S = 150  # processor's seconds for one network
AIM = 0.95

# family: architecture, input size, arguments. First the families with a member under 1 GMAC at its own size, then
# further ones, whose smallest member is under 1 GMAC at the size used here.
FAMILIES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "resnet": ("resnet10t", 64, {}),
    "mobilenetv3": ("mobilenetv3_small_050", 64, {}),
    "mobilenetv4": ("mobilenetv4_conv_small_035", 64, {}),
    "convnext": ("convnext_atto", 64, {}),
    "vision_transformer": ("test_vit", 160, {}),
    "efficientvit_msra": ("efficientvit_m0", 128, {"img_size": 128}),
    "efficientvit_mit": ("efficientvit_b0", 64, {}),
    "repvit": ("repvit_m0_9", 64, {}),
    "fastvit": ("fastvit_t8", 64, {}),
    "byobnet": ("mobileone_s0", 64, {}),
    "repghost": ("repghostnet_050", 64, {}),
    "ghostnet": ("ghostnet_050", 64, {}),
    "efficientnet": ("efficientnet_lite0", 64, {}),
    "mnasnet": ("mnasnet_small", 64, {}),
    "lcnet": ("lcnet_050", 64, {}),
    "tinynet": ("tinynet_e", 64, {}),
    "mixnet": ("mixnet_s", 64, {}),
    "regnet": ("regnetx_002", 64, {}),
    "regnety": ("regnety_002", 64, {}),
    "dla": ("dla46x_c", 64, {}),
    "cspnet": ("cs3darknet_focus_s", 64, {}),
    "cspnext": ("cspnext_tiny", 64, {}),
    "cpubone": ("cpubone_nano", 64, {}),
    "edgenext": ("edgenext_xx_small", 64, {}),
    "efficientformer_v2": ("efficientformerv2_s0", 128, {"img_size": 128}),
    "efficientvim": ("efficientvim_m1", 64, {}),
    "fasternet": ("fasternet_t0", 64, {}),
    "hardcorenas": ("hardcorenas_a", 64, {}),
    "hgnet": ("hgnetv2_b0", 64, {}),
    "iformer": ("iformer_t", 64, {}),
    "inception_next": ("inception_next_atto", 64, {}),
    "lcnetv2": ("lcnetv2_small", 64, {}),
    "levit": ("levit_128s", 128, {"img_size": 128}),
    "lowformer": ("lowformer_b0", 64, {}),
    "mambaout": ("test_mambaout", 160, {}),
    "maxxvit": ("test_maxvit", 160, {}),
    "coatnet": ("test_coatnet", 160, {}),
    "mobilevit": ("mobilevit_xxs", 64, {}),
    "mobilevitv2": ("mobilevitv2_050", 64, {}),
    "nfnet": ("nf_regnet_b0", 64, {}),
    "pit": ("pit_ti_224", 224, {}),
    "pvt_v2": ("pvt_v2_b0", 64, {}),
    "rexnet": ("rexnet_100", 64, {}),
    "shvit": ("shvit_s1", 64, {}),
    "starnet": ("starnet_s050", 64, {}),
    "swiftformer": ("swiftformer_xs", 64, {}),
    "vovnet": ("ese_vovnet19b_slim_dw", 64, {}),
    "xcit": ("xcit_nano_12_p16_224", 128, {"img_size": 128}),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", 128, {"img_size": 128}),
    "deit": ("deit_tiny_patch16_224", 128, {"img_size": 128}),
    "densenet": ("densenet121", 64, {}),
    "dpn": ("dpn48b", 64, {}),
    "efficientformer": ("efficientformer_l1", 224, {}),
    "tiny_vit": ("tiny_vit_5m_224", 128, {"img_size": 128}),
    "visformer": ("visformer_tiny", 128, {"img_size": 128}),
    "coat": ("coat_lite_tiny", 128, {"img_size": 128}),
    "convit": ("convit_tiny", 128, {"img_size": 128}),
    "mlp_mixer": ("gmlp_ti16_224", 128, {"img_size": 128}),
    "metaformer": ("poolformer_s12", 64, {}),
    "resnetv2": ("resnetv2_18", 64, {}),
    "senet": ("legacy_seresnet18", 64, {}),
    "sknet": ("skresnet18", 64, {}),
    "resnest": ("resnest14d", 64, {}),
    "hrnet": ("hrnet_w18_small", 64, {}),
    "gcvit": ("gcvit_xxtiny", 224, {}),
    "eva": ("eva02_tiny_patch14_224", 112, {"img_size": 112}),
    "swin_transformer": ("swin_tiny_patch4_window7_224", 112, {"img_size": 112}),
    "swin_transformer_v2": ("swinv2_tiny_window8_256", 128, {"img_size": 128}),
    "davit": ("davit_tiny", 112, {}),
    "focalnet": ("focalnet_tiny_srf", 64, {}),
    "res2net": ("res2net50_48w_2s", 64, {}),
    "crossvit": ("crossvit_tiny_240", 240, {}),
    "cait": ("cait_xxs24_224", 112, {"img_size": 112}),
    "twins": ("twins_pcpvt_small", 112, {"img_size": 112}),
    "selecsls": ("selecsls42", 64, {}),
    "byoanet": ("halonet_h1", 64, {}),
    "hiera": ("hiera_tiny_224", 224, {}),
    "nest": ("nest_tiny", 224, {}),
    "sequencer": ("sequencer2d_s", 112, {"img_size": 112}),
    "tresnet": ("tresnet_m", 64, {}),
}


def main() -> None:
    """Run the sweep, or go on with it, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--out", default=Path("sweep.jsonl"), type=Path)
    parser.add_argument("--only", nargs="*", help="families; all by default")
    parser.add_argument("--again", action="store_true", help="repeat those that fell short of the aim")
    parser.add_argument("--table", action="store_true", help="print the table alone")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.table:
        pictures = read_pictures(given.data)
        done = results(given.out)
        for family in given.only or FAMILIES:
            last = done.get(family)
            if last and not given.only and not (given.again and last.get("agreement", 0) < AIM):
                continue
            gc.collect()
            gc.freeze()  # what is alive by now stays: without this, looking through it again takes a tenth of the time
            row = {"family": family, **run(family, pictures)}
            print(json.dumps(row), flush=True)
            with given.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print_table(results(given.out))


def results(path: Path) -> dict[str, dict[str, Any]]:
    """The last result of each family."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return {row["family"]: row for row in rows}


Pictures = dict[str, tuple[list[NDArray[np.uint8]], list[int]]]


def read_pictures(folder: Path) -> Pictures:
    """Pictures and classes of each part; a picture's part depends on its name alone."""
    parts: Pictures = {"fit": ([], []), "calibrate": ([], []), "measure": ([], [])}
    wanted = {"fit": FIT, "calibrate": CALIBRATE, "measure": MEASURE}
    for number, name in enumerate(CLASSES):
        ordered = sorted((folder / name).iterdir(), key=lambda path: zlib.crc32(path.name.encode()))
        start = 0
        for part, (images, truths) in parts.items():
            for path in ordered[start : start + wanted[part] // len(CLASSES)]:
                images.append(read_image(path).image)
                truths.append(number)
            start += wanted[part] // len(CLASSES)
    return parts


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in the middle of whatever runs, after so much of the processor's time."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def run(family: str, pictures: Pictures) -> dict[str, Any]:
    """One network: what became of it, as plain values."""
    name, size, options = FAMILIES[family]
    row: dict[str, Any] = {"network": name, "size": size}
    began = time.process_time()
    try:
        with time_limit(LIMIT_S), TemporaryDirectory() as folder:
            spec = InputSpec(size, size, (0.5,) * 3, (0.25,) * 3)
            network, learnt = lightly_trained(name, spec, options, pictures)
            row |= learnt

            def labelled(part: str) -> list[LabelledImage]:
                return [LabelledImage(image, CLASSES[truth]) for image, truth in zip(*pictures[part], strict=True)]

            report = export(
                network,
                labelled("calibrate"),
                Path(folder) / "bundle",
                held_out=labelled("measure"),
                labels=CLASSES,
                input=spec,
                name=name,
                version="1",
                effort="fast",
            )
            row |= {
                "whole": True,
                "agreement": round(report.agreement, 4),
                "float": report.float_accuracy,
                "int8": report.bundle_accuracy,
                "megabytes": round(report.model_bytes / 1e6, 2),
                "gigamacs": round(report.bundle.manifest.macs / 1e9, 3),
                "error": round(report.error, 4),
                "ms": round(report.latency_ms, 2),
            }
    except WorkbenchError as error:
        row |= {"whole": False, "reason": str(error)}
    except Exception as error:
        row |= {"whole": False, "reason": f"{type(error).__name__}: {str(error)[:300]}"}
    return row | {"seconds": round(time.process_time() - began)}


def lightly_trained(
    name: str, spec: InputSpec, options: dict[str, Any], pictures: Pictures
) -> tuple[nn.Module, dict[str, Any]]:
    """A network that tells the classes apart, if it learns that in the time; and its steps and last loss."""
    timm = import_timm()
    torch.manual_seed(0)
    network: nn.Module = timm.create_model(name, num_classes=len(CLASSES), **options).train()
    inputs, truths = as_inputs(pictures["fit"][0], spec), torch.tensor(pictures["fit"][1])
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        with torch.no_grad():
            initialise(network, inputs[torch.randperm(len(inputs))[:BATCH]])
    rate = RATE_OF_NORMS if norms else RATE
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.05)
    losses: list[float] = []
    began = time.process_time()
    while (spent := (time.process_time() - began) / TRAIN_S) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (len(losses) + 1) / WARM_UP) * (1 + math.cos(math.pi * spent)) / 2
        batch = torch.randperm(len(inputs))[:BATCH]
        outputs = network(inputs[batch].flip(3) if len(losses) % 2 else inputs[batch])
        heads = outputs if isinstance(outputs, tuple) else (outputs,)  # some train a second head beside the first
        loss: Any = torch.stack([nn.functional.cross_entropy(head, truths[batch]) for head in heads]).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        if len(losses) >= 10 and float(np.mean(losses[-10:])) < LEARNT:
            break
    settle(network, norms, inputs[torch.randperm(len(inputs))[:SETTLING]])
    return network.eval(), {"steps": len(losses), "loss": round(float(np.mean(losses[-10:])), 3)}


def settle(network: nn.Module, norms: list[Any], inputs: Any) -> None:
    """Give batch norms the plain mean of the statistics of these pictures."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for batch in inputs.split(BATCH) if norms else ():
            network(batch)


def initialise(network: nn.Module, pictures: torch.Tensor) -> None:
    """Scale and shift each layer so that its outputs on these pictures have mean 0 and deviation 1."""
    for name, value in network.named_parameters():
        if value.dim() and float(value.abs().max()) < 1e-3 and name.endswith(("weight", "gamma", "gamma1", "gamma2")):
            value.fill_(0.5)  # factors of branches that training would begin with none of
    done: set[nn.Module] = set()

    def adjust(layer: Any, given: Any, output: torch.Tensor) -> Any:
        if layer in done or output.numel() == 0:
            return output
        done.add(layer)
        axis = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
        rest = [one for one in range(output.dim()) if one != axis]
        deviation = output.std(rest).clamp_min(1e-4)
        layer.weight.div_(deviation.reshape(-1, *[1] * (layer.weight.dim() - 1)))
        if layer.bias is not None:
            layer.bias.sub_(output.mean(rest)).div_(deviation)
        return layer.forward(*given)

    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    hooks = [layer.register_forward_hook(adjust) for layer in layers]
    network(pictures)
    for hook in hooks:
        hook.remove()


def as_inputs(images: list[NDArray[np.uint8]], spec: InputSpec) -> torch.Tensor:
    """`float32 (N, 3, size, size)`."""
    resized = np.stack([cv2.resize(image, (spec.width, spec.height)) for image in images])
    mean, deviation = (np.asarray(values, np.float32) for values in (spec.mean, spec.std))
    scaled = (resized.astype(np.float32) / 255 - mean) / deviation
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous()  # oneDNN's backward pass is sound so on every CPU


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    """As Markdown."""
    print("| family | network | input | loss | exported whole | same class | error | float | int8 | GMAC | MB | ms |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        row = rows.get(family)
        if row is None:
            continue
        if row["whole"]:
            values = [
                "yes",
                f"{row['agreement']:.1%}",
                f"{row['error']:.3f}",
                f"{row['float']:.1%}",
                f"{row['int8']:.1%}",
                f"{row['gigamacs']:.2f}",
                f"{row['megabytes']:.2f}",
                f"{row['ms']:.1f}",
            ]
        else:
            values = [f"no: {row['reason']}", *["-"] * 7]
        start = [family, row["network"], str(row["size"]), str(row.get("loss", "-"))]
        print("| " + " | ".join([*start, *values]) + " |")
    done = [rows[family] for family in FAMILIES if family in rows]
    whole = [row for row in done if row["whole"]]
    reached = [row for row in whole if row["agreement"] >= AIM]
    share = f"{len(reached)} of them with at least {AIM:.0%} agreement"
    print(f"\n{len(done)} networks; {len(whole)} exported whole; {share}.")


if __name__ == "__main__":
    with quiet():
        main()
