"""One int8 network through three runtimes, at one and two threads: ours (ExecuTorch), LiteRT and ONNX Runtime.

    python -m venv /tmp/others
    /tmp/others/bin/pip install litert-torch ai-edge-litert ai-edge-quantizer onnxruntime onnx onnxscript timm
    python benchmarks/runtimes.py --others /tmp/others/bin/python [--network mobilenetv2_100]

The converters of the others need versions of torch that ours does not take, hence the second interpreter. All three
quantise the same float weights statically to int8, weights per channel, on the same pictures: ours by PT2E and
XNNPACK's quantiser, LiteRT's by ai-edge-quantizer (`static_wi8_ai8`), ONNX Runtime's by `quantize_static` (QDQ,
unsigned activations). The table says how well the logits agree with the float network's.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

RUNTIMES = ("edge-sdk", "LiteRT", "ONNX Runtime")
MEAN, STD = 0.5, 0.25
PICTURES = 8


def network_of(folder: Path) -> dict[str, Any]:
    """What `make_float` wrote of the network: architecture, options, classes, width, height."""
    found: dict[str, Any] = json.loads((folder / "network.json").read_text())
    return found


def pictures(folder: Path) -> np.ndarray:
    """Smooth noise, `uint8 (PICTURES, height, width, 3)`: the same in every process."""
    network = network_of(folder)
    width, height = network["width"], network["height"]
    coarse = np.random.default_rng(0).integers(0, 256, (PICTURES, -(-height // 8), -(-width // 8), 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width])


def normalised(folder: Path) -> np.ndarray:
    """The pictures as `float32 (PICTURES, height, width, 3)`."""
    return ((pictures(folder) / 255 - MEAN) / STD).astype(np.float32)


# Conversion, each in the interpreter that has the tools


def make_float(folder: Path, name: str, size: str) -> None:
    """The float network's weights, and its logits on the pictures."""
    import torch

    from edge_sdk.networks.checkpoint import create_model, load_checkpoint

    trained = Path(name).is_file()
    model, info = load_checkpoint(name) if trained else create_model(name)
    width, height = (info.input.width, info.input.height) if trained else map(int, size.split("x"))
    network = {
        "arch": info.arch,
        "options": info.options,
        "classes": len(info.labels),
        "width": width,
        "height": height,
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
    model = timm.create_model(network["arch"], num_classes=network["classes"], **network["options"]).eval()
    model.load_state_dict(torch.load(folder / "weights.pt"))
    return model


def make_edge_sdk(folder: Path) -> None:
    """A .pte file, made as `edge_sdk.workbench.export` makes it; that also demands a network that was trained."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from edge_sdk.networks.timm_library import import_timm
    from edge_sdk.workbench.rewrites.capture import capture

    model = load_float(folder, import_timm())
    inputs = torch.from_numpy(normalised(folder)).permute(0, 3, 1, 2)
    example = (inputs[:1],)  # NHWC memory, as the device writes it
    captured = capture(model, example)
    config = xnnpack.get_symmetric_quantization_config(is_per_channel=True)
    prepared = prepare_pt2e(captured, xnnpack.XNNPACKQuantizer().set_global(config))
    for number in range(PICTURES):
        prepared(inputs[number : number + 1])
    quantised = torch.export.export(convert_pt2e(prepared), example, strict=False)
    lowered = to_edge_transform_and_lower(quantised, partitioner=[XnnpackPartitioner()])
    (folder / "int8.pte").write_bytes(lowered.to_executorch().buffer)


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

    program = Program(str(folder / "int8.pte"), (MEAN,) * 3, (STD,) * 3, threads)
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
    came = np.stack([forward(number) for number in range(PICTURES)])
    print(json.dumps(float(np.corrcoef(expected.ravel(), came.ravel())[0, 1])), flush=True)
    for line in sys.stdin:
        times = []
        for call in range(int(line)):
            start = time.perf_counter()
            forward(call % PICTURES)
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(statistics.median(times)), flush=True)


def main() -> None:
    """Convert, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", default=sys.executable, help="interpreter that has the others and their converters")
    parser.add_argument(
        "--network", default="mobilenetv2_100", help="timm's name, or a checkpoint that the workbench wrote"
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
        make_float(options.folder, options.network, options.size)
    elif options.make:
        MAKE[options.make](options.folder)
    elif options.work:
        work(options.folder, options.work, options.threads)
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """The parent process."""
    from rich.console import Console
    from rich.table import Table

    with tempfile.TemporaryDirectory() as name, open(Path(name) / "errors.txt", "w+") as errors:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

        def command(runtime: str, *arguments: str) -> list[str]:
            python = sys.executable if runtime in ("float", "edge-sdk") else options.others
            common = ["--folder", name, "--network", options.network, "--size", options.size]
            return [python, __file__, *common, *arguments]

        for runtime in ("float", *MAKE):
            done = subprocess.run(command(runtime, "--make", runtime), env=environment, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{runtime}: the conversion failed\n{done.stderr[-4000:]}")
        network = network_of(Path(name))
        workers: dict[tuple[str, int], subprocess.Popen[str]] = {}
        agreement: dict[str, float] = {}
        bursts: dict[tuple[str, int], list[float]] = {}
        for threads in (1, 2):
            for runtime in RUNTIMES:
                workers[runtime, threads] = worker = subprocess.Popen(
                    command(runtime, "--work", runtime, "--threads", str(threads)),
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
                agreement[runtime] = ask(worker, None, errors)
        for burst in range(options.rounds + 1):
            for key, worker in workers.items():
                milliseconds = ask(worker, options.calls, errors)
                if burst:  # the first warms up
                    bursts.setdefault(key, []).append(milliseconds)
        for worker in workers.values():
            worker.communicate()
    medians = {key: statistics.median(values) for key, values in bursts.items()}
    table = Table(title=f"{network['arch']}, {network['width']}x{network['height']}, int8: median ms per picture")
    for column in ("", "1 thread", "2 threads", "r, int8 to float logits"):
        table.add_column(column, justify="right" if column else "left")
    for runtime in RUNTIMES:
        row = [f"{medians[runtime, threads]:.3f}" for threads in (1, 2)]
        table.add_row(runtime, *row, f"{agreement[runtime]:.4f}")
    ratios = [medians["edge-sdk", t] / min(medians[other, t] for other in RUNTIMES[1:]) for t in (1, 2)]
    table.add_row("ours / fastest other", *(f"{ratio:.3f}" for ratio in ratios))
    Console().print(table)


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
