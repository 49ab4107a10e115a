"""The same int8 networks through three runtimes, at one and two threads: ours (ExecuTorch), LiteRT and ONNX Runtime.

    python -m venv /tmp/others
    /tmp/others/bin/pip install litert-torch ai-edge-litert ai-edge-quantizer onnxruntime onnx onnxscript timm
    python benchmarks/runtimes.py --others /tmp/others/bin/python [--network mobilenetv2_100 resnet18 ...]

The converters of the others need versions of torch that ours does not take, hence the second interpreter. All three
quantise the same float weights statically to int8, weights per channel, on the same pictures: ours as `edge-sdk export`
does it, LiteRT's by ai-edge-quantizer (`static_wi8_ai8`), ONNX Runtime's by `quantize_static` (QDQ, unsigned
activations). The table says how well the logits agree with the float network's.

`depthwise_5_240` is no network of timm's but four depthwise convolutions of 5x5 over 240 channels, each with its
ReLU6, between a 1x1 convolution of the picture and a mean: with 3 for 5, or 0 for none, it shows what such layers take.

Each runtime lives in a process of its own per thread count. One process runs at a time, for a burst of calls; bursts
of all go round in turn, and the table gives the median of the bursts' medians. Ours is timed from `uint8` pixels to
logits, layout and normalisation included; the others get a tensor that was prepared before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

RUNTIMES = ("edge-sdk", "LiteRT", "ONNX Runtime")
MEAN, STD = 0.5, 0.25
PICTURES = 8
LAYERS, DEPTH = "depthwise_", 4
TEN = (
    "mobilenetv2_100",
    "tf_efficientnet_lite0",
    "mobilenetv1_100",
    "mnasnet_100",
    "resnet18",
    "resnet50",
    "regnetx_008",
    "mobilenetv3_small_100",
    "mobilenetv3_large_100",
    "lcnet_100",
)


def network_of(folder: Path) -> dict[str, Any]:
    """What was written of the network: architecture, options, classes, width, height, mean and std."""
    found: dict[str, Any] = json.loads((folder / "network.json").read_text())
    return found


def pictures(folder: Path) -> np.ndarray:
    """The folder's pictures, `uint8 (N, height, width, 3)`; without any, smooth noise: the same in every process."""
    if (folder / "pixels.npy").exists():
        kept: np.ndarray = np.load(folder / "pixels.npy")
        return kept
    network = network_of(folder)
    width, height = network["width"], network["height"]
    coarse = np.random.default_rng(0).integers(0, 256, (PICTURES, -(-height // 8), -(-width // 8), 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width])


def normalised(folder: Path) -> np.ndarray:
    """The pictures as `float32 (N, height, width, 3)`."""
    mean, std = (np.array(network_of(folder)[name], np.float32) for name in ("mean", "std"))
    return ((pictures(folder).astype(np.float32) / 255 - mean) / std).astype(np.float32)


def layers(name: str) -> Any:
    """The network of a few depthwise layers that `depthwise_KERNEL_CHANNELS` means."""
    from torch import nn

    kernel, channels = map(int, name.split("_")[1:])
    found = [nn.Conv2d(3, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU6()]
    for _ in range(DEPTH if kernel else 0):
        found.append(nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False))
        found += [nn.BatchNorm2d(channels), nn.ReLU6()]
    return nn.Sequential(*found, nn.AdaptiveAvgPool2d(1), nn.Flatten())


# Conversion, each in the interpreter that has the tools


def make_float(folder: Path, name: str, size: str) -> None:
    """The float network's weights, and its logits on the pictures."""
    import torch

    from edge_sdk.networks.checkpoint import create_model, load_checkpoint

    trained = Path(name).is_file()
    width, height = map(int, size.split("x"))
    if name.startswith(LAYERS):
        model, arch, options, classes = layers(name), name, {}, int(name.split("_")[2])
    else:
        model, info = load_checkpoint(name) if trained else create_model(name)
        arch, options, classes = info.arch, info.options, len(info.labels)
        if trained:
            width, height = info.input.width, info.input.height
    network = {
        "arch": arch,
        "options": options,
        "classes": classes,
        "width": width,
        "height": height,
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
    }
    (folder / "network.json").write_text(json.dumps(network))
    inputs = torch.from_numpy(normalised(folder)).permute(0, 3, 1, 2)
    with torch.no_grad():
        if not trained:  # take the statistics of the pictures: a fresh network's activations all but vanish
            for layer in model.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.momentum = None
            model.train()(inputs)
        torch.save(model.eval().state_dict(), folder / "weights.pt")
        np.save(folder / "float.npy", model(inputs).numpy())


def load_float(folder: Path, timm: Any) -> Any:
    """The float network, in any interpreter."""
    import torch

    network = network_of(folder)
    if network["arch"].startswith(LAYERS):
        model = layers(network["arch"])
    else:
        model = timm.create_model(network["arch"], num_classes=network["classes"], **network["options"])
    model.eval()
    model.load_state_dict(torch.load(folder / "weights.pt"))
    return model


def make_edge_sdk(folder: Path) -> None:
    """A .pte file, made as `edge_sdk.workbench.export` makes it; that also demands a network that was trained."""
    from edge_sdk.model.inputs import InputSpec
    from edge_sdk.networks.timm_library import import_timm
    from edge_sdk.workbench.lowering import lower, quiet
    from edge_sdk.workbench.quantise import example, quantise
    from edge_sdk.workbench.rewrites.capture import capture

    network = network_of(folder)
    spec = InputSpec(network["width"], network["height"], tuple(network["mean"]), tuple(network["std"]))
    inputs = pictures(folder)
    with quiet():
        captured = capture(load_float(folder, import_timm()), (example(inputs[:1], spec),))
        made = quantise(captured, inputs, spec, np.load(folder / "float.npy"), effort=network.get("effort", "fast"))
        (folder / "int8.pte").write_bytes(lower(made.network, (example(inputs[:1], spec),), ()).program)
    (folder / "float-layers.json").write_text(json.dumps(made.float_layers))


def make_litert(folder: Path) -> None:
    """A .tflite file with an NHWC input."""
    import litert_torch
    import timm
    import torch
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    inputs = normalised(folder)
    wrapped = litert_torch.to_channel_last_io(load_float(folder, timm), args=[0])
    plain = str(folder / "float.tflite")
    litert_torch.convert(wrapped, (torch.from_numpy(inputs[:1]),)).export(plain)
    signature, ends = next(iter(Interpreter(plain).get_signature_list().items()))
    quantise = quantizer.Quantizer(plain)
    quantise.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = [{ends["inputs"][0]: picture[None]} for picture in inputs]
    quantised = quantise.quantize(quantise.calibrate({signature: samples}))
    quantised.export_model(str(folder / "int8.tflite"))


def make_onnx_runtime(folder: Path) -> None:
    """An .onnx file."""
    import timm
    import torch
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    inputs = normalised(folder).transpose(0, 3, 1, 2)
    plain, ready = str(folder / "float.onnx"), str(folder / "ready.onnx")
    example = torch.from_numpy(np.ascontiguousarray(inputs[:1]))
    torch.onnx.export(load_float(folder, timm), (example,), plain, input_names=["x"], dynamo=True)
    quant_pre_process(plain, ready)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        left = [picture[None] for picture in inputs]  # noqa: RUF012

        def get_next(self) -> dict[str, np.ndarray] | None:
            return {"x": self.left.pop()} if self.left else None

    quantization.quantize_static(
        ready,
        str(folder / "int8.onnx"),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


# Running: each returns a function of the picture's number that gives float logits


def run_edge_sdk(folder: Path, threads: int) -> Callable[[int], np.ndarray]:
    """Ours."""
    from edge_sdk._native import Program

    network = network_of(folder)
    program = Program(str(folder / "int8.pte"), tuple(network["mean"]), tuple(network["std"]), threads)
    inputs = pictures(folder)
    return lambda number: program.forward(inputs[number])


def run_litert(folder: Path, threads: int) -> Callable[[int], np.ndarray]:
    """LiteRT with its XNNPACK delegate, which is the default."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "int8.tflite"), num_threads=threads)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero = source["quantization"]
    inputs = np.clip(np.round(normalised(folder) / scale) + zero, -128, 127).astype(np.int8)[:, None]

    def forward(number: int) -> np.ndarray:
        interpreter.set_tensor(source["index"], inputs[number])
        interpreter.invoke()
        out_scale, out_zero = sink["quantization"]
        logits: np.ndarray = (interpreter.get_tensor(sink["index"])[0].astype(np.float32) - out_zero) * out_scale
        return logits

    return forward


def run_onnx_runtime(folder: Path, threads: int) -> Callable[[int], np.ndarray]:
    """ONNX Runtime on its CPU provider."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / "int8.onnx"), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    inputs = np.ascontiguousarray(normalised(folder).transpose(0, 3, 1, 2))[:, None]
    return lambda number: session.run(None, {name: inputs[number]})[0][0]


MAKE = dict(zip(RUNTIMES, (make_edge_sdk, make_litert, make_onnx_runtime), strict=True))
RUN = dict(zip(RUNTIMES, (run_edge_sdk, run_litert, run_onnx_runtime), strict=True))


def work(folder: Path, runtime: str, threads: int) -> None:
    """A worker process: for each line with a number of calls on stdin, the median milliseconds on stdout."""
    forward = RUN[runtime](folder, threads)
    expected = np.load(folder / "float.npy")
    came = np.stack([np.array(forward(number)) for number in range(len(expected))])
    np.save(folder / f"{runtime}.npy", came)
    print(json.dumps(float(np.corrcoef(expected.ravel(), came.ravel())[0, 1])), flush=True)
    for line in sys.stdin:
        times = []
        for call in range(int(line)):
            start = time.perf_counter()
            forward(call % len(expected))
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(statistics.median(times)), flush=True)


def main() -> None:
    """Convert, run, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", default=sys.executable, help="interpreter that has the others and their converters")
    parser.add_argument(
        "--network", nargs="+", default=TEN, help="timm's names, or checkpoints that the workbench wrote; default: ten"
    )
    parser.add_argument("--size", default="224x224", help="width and height of the input; a checkpoint has its own")
    parser.add_argument("--rounds", type=int, default=15, help="bursts of each")
    parser.add_argument("--calls", type=int, default=30, help="calls per burst")
    parser.add_argument("--make", choices=("float", *MAKE), help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=RUN, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make == "float":
        make_float(options.folder, options.network[0], options.size)
    elif options.make:
        MAKE[options.make](options.folder)
    elif options.work:
        work(options.folder, options.work, options.threads)
    else:
        compare_all(options)


def compare_all(options: argparse.Namespace) -> None:
    """The parent process: a table for each network, and one of the ratios."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    ratios: dict[str, list[str]] = {}
    for network in options.network:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            convert(folder, "float", options.others, "--network", network, "--size", options.size)
            failed = {runtime: error for runtime in MAKE if (error := tried(folder, runtime, options.others))}
            for runtime, error in failed.items():
                console.print(f"{network}, {runtime}: the conversion failed: {error}", markup=False)
            runtimes = [runtime for runtime in RUNTIMES if runtime not in failed]
            times, alike = race(folder, runtimes, options.others, options.rounds, options.calls)
            what = network_of(folder)
        title = f"{what['arch']}, {what['width']}x{what['height']}, int8: median ms per picture"
        table = Table("", "1 thread", "2 threads", "r, int8 to float logits", title=title)
        for runtime in runtimes:
            table.add_row(runtime, *(f"{times[runtime, n]:.3f}" for n in (1, 2)), f"{alike[runtime]:.4f}")
        console.print(table)
        if "edge-sdk" in runtimes and len(runtimes) > 1:
            fastest = {n: min(times[other, n] for other in runtimes if other != "edge-sdk") for n in (1, 2)}
            ratios[network] = [f"{times['edge-sdk', n] / fastest[n]:.3f}" for n in (1, 2)]
    table = Table("", "1 thread", "2 threads", title="ours / fastest other")
    for network, row in ratios.items():
        table.add_row(network, *row)
    console.print(table)


def convert(folder: Path, runtime: str, others: str, *arguments: str) -> None:
    """Make one runtime's file in the folder, in the interpreter that has the tools."""
    if error := tried(folder, runtime, others, *arguments):
        raise SystemExit(f"{runtime}: the conversion failed\n{error}")


def tried(folder: Path, runtime: str, others: str, *arguments: str) -> str:
    """As `convert`; returns the last of what it said where it failed, else nothing."""
    command = _command(folder, runtime, others, "--make", runtime, *arguments)
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    return done.stderr[-2000:] if done.returncode else ""


def race(
    folder: Path, runtimes: Sequence[str], others: str, rounds: int, calls: int
) -> tuple[dict[tuple[str, int], float], dict[str, float]]:
    """Time the runtimes on the folder's pictures in turns.

    Returns:
        the median milliseconds by runtime and number of threads, and the correlation of each one's logits to the float
        network's.
    """
    workers: dict[tuple[str, int], subprocess.Popen[str]] = {}
    alike: dict[str, float] = {}
    bursts: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryFile("w+") as errors:
        for threads in (1, 2):
            for runtime in runtimes:
                workers[runtime, threads] = worker = subprocess.Popen(
                    _command(folder, runtime, others, "--work", runtime, "--threads", str(threads)),
                    env=_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
                alike[runtime] = ask(worker, None, errors)
        for burst in range(rounds + 1):
            for key, worker in workers.items():
                milliseconds = ask(worker, calls, errors)
                if burst:  # the first warms up
                    bursts.setdefault(key, []).append(milliseconds)
        for worker in workers.values():
            worker.communicate()
    return {key: statistics.median(values) for key, values in bursts.items()}, alike


def _command(folder: Path, runtime: str, others: str, *arguments: str) -> list[str]:
    python = sys.executable if runtime in ("float", "edge-sdk") else others
    return [python, __file__, "--folder", str(folder), *arguments]


def _environment() -> dict[str, str]:
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def ask(worker: subprocess.Popen[str], calls: int | None, errors: TextIO) -> float:
    """Have a worker do so many calls (None: hear its first line); its number."""
    assert worker.stdin is not None and worker.stdout is not None
    if calls is not None:
        worker.stdin.write(f"{calls}\n")
        worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        errors.seek(0)
        raise SystemExit(f"a worker ended: {worker.args!r}\n{errors.read()[-4000:]}")
    return float(json.loads(line))


if __name__ == "__main__":
    main()
