from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tiny_network import HEIGHT, LABELS, MEAN, STD, WIDTH, picture, programs

from edge_sdk._native import Program


def load(name: str = "last", threads: int = 1) -> Program:
    return Program(str(programs() / f"{name}.pte"), MEAN, STD, threads)


def in_fresh_interpreter(code: str) -> str:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_says_what_it_is() -> None:
    program = load()
    assert (program.width, program.height, program.outputs, program.threads) == (WIDTH, HEIGHT, len(LABELS), 1)
    assert (program.layout, load("first").layout) == ("NHWC", "NCHW")


def test_logits_are_float32_and_not_all_the_same() -> None:
    logits = load().forward(picture())
    assert logits.dtype == np.float32
    assert logits.shape == (len(LABELS),)
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("name", ["plain", "portable"])
def test_scale_normalise_and_layout_are_those_of_the_formula(name: str) -> None:
    """A picture whose channels differ by the inverse of the normalisation gives what three equal channels give."""
    program = Program(str(programs() / f"{name}.pte"), (0.0,) * 3, (1.0,) * 3, 1)
    grey = picture()[..., :1]
    equal = program.forward(np.ascontiguousarray(np.repeat(grey, 3, axis=2)))
    shifted = Program(str(programs() / f"{name}.pte"), (0.0, 32 / 255, 0.0), (1.0, 0.5, 1.0), 1)
    halved = np.concatenate([grey // 2 * 2, grey // 2 + 32, grey // 2 * 2], axis=2)
    np.testing.assert_allclose(
        shifted.forward(np.ascontiguousarray(halved)),
        program.forward(np.ascontiguousarray(np.repeat(grey // 2 * 2, 3, axis=2))),
        atol=1e-5,
    )
    assert not np.allclose(equal, shifted.forward(np.ascontiguousarray(np.repeat(grey, 3, axis=2))), atol=1e-5)


def test_both_memory_orders_and_the_unquantised_network_agree() -> None:
    names = ("last", "first", "plain", "portable")
    networks = [load(name) for name in names]
    for seed in range(10):
        last, first, plain, portable = (network.forward(picture(seed)) for network in networks)
        np.testing.assert_allclose(plain, portable, atol=1e-5)
        np.testing.assert_allclose(last, plain, atol=0.05)
        np.testing.assert_allclose(first, plain, atol=0.05)


def test_an_answer_is_not_overwritten_by_the_next() -> None:
    program = load()
    one = program.forward(picture(1))
    kept = one.copy()
    two = program.forward(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert not np.shares_memory(one, two)
    np.testing.assert_array_equal(one, kept)
    assert not np.array_equal(one, two)


def test_an_answer_outlives_its_program() -> None:
    program = load()
    expected = program.forward(picture()).tolist()
    logits = program.forward(picture())
    del program
    assert logits.tolist() == expected


@pytest.mark.parametrize("shape", [(WIDTH, HEIGHT, 3), (HEIGHT, WIDTH, 4), (HEIGHT, WIDTH, 1), (HEIGHT - 1, WIDTH, 3)])
def test_a_wrong_shape_says_expected_and_got(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=rf"expected uint8 \({HEIGHT}, {WIDTH}, 3\); got \({shape[0]}, {shape[1]}, "):
        load().forward(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((HEIGHT, WIDTH, 3), np.float32),  # would lose its fractions
        np.zeros((HEIGHT, WIDTH), np.uint8),
        np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8)[:, ::2],  # not contiguous
        "a string",
        None,
    ],
)
def test_what_is_no_picture_is_refused_and_not_converted(pixels: object) -> None:
    with pytest.raises(TypeError):
        load().forward(pixels)  # type: ignore[arg-type]


def test_a_missing_file_gives_executorchs_error() -> None:
    with pytest.raises(RuntimeError, match=r"cannot load /nowhere\.pte: ExecuTorch's Error::AccessFailed \(.*/nowhere"):
        Program("/nowhere.pte", MEAN, STD, 1)


@pytest.mark.parametrize("size", [0, 1, 10, 60, 500, 2000])
def test_a_cut_file_is_refused(tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.pte"
    cut.write_bytes((programs() / "last.pte").read_bytes()[:size])
    with pytest.raises(RuntimeError, match="ExecuTorch's Error::"):
        Program(str(cut), MEAN, STD, 1)


def test_noise_is_refused(tmp_path: Path) -> None:
    noise = tmp_path / "noise.pte"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(RuntimeError, match="ExecuTorch's Error::InvalidProgram"):
        Program(str(noise), MEAN, STD, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_forward", 'expected a method "forward"; got encode'),
        ("not_a_picture", r"expected a float32 input of shape \(1, 3, H, W\) or \(1, H, W, 3\); got Float \(1, 10\)"),
        ("two_outputs", "expected one output, the logits; got 2"),
    ],
)
def test_a_program_that_is_no_classifier_is_refused(name: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        load(name)


@pytest.mark.parametrize("threads", [0, -1, 65])
def test_threads_out_of_range(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads: expected 1 to 64; got {threads}"):
        load(threads=threads)


def test_std_must_be_positive() -> None:
    with pytest.raises(ValueError, match="std: expected positive numbers; got 0"):
        Program(str(programs() / "last.pte"), MEAN, (1.0, 0.0, 1.0), 1)


def test_the_pool_follows_the_parameter_and_one_thread_starts_none() -> None:
    code = f"""
import os, numpy as np
from edge_sdk._native import Program
tasks = lambda: len(os.listdir("/proc/self/task"))
path, mean, std, pixels = {str(programs() / "last.pte")!r}, {MEAN}, {STD}, np.zeros(({HEIGHT}, {WIDTH}, 3), np.uint8)
counts = [tasks()]
for threads in (1, 3, 2):
    program = Program(path, mean, std, threads)
    program.forward(pixels)
    counts.append(tasks())
    del program
print(counts)
"""
    before, one, three, two = eval(in_fresh_interpreter(code))
    assert (one - before, three - before, two - before) == (0, 2, 1)


def test_a_pool_in_use_keeps_its_size() -> None:
    two = load(threads=2)
    expected = two.forward(picture())
    with pytest.raises(ValueError, match=r"threads: expected 1 or 2, .*; got 3"):
        load(threads=3)
    np.testing.assert_array_equal(load(threads=1).forward(picture()), expected)
    np.testing.assert_array_equal(load(threads=2).forward(picture()), expected)
    del two
    np.testing.assert_array_equal(load(threads=3).forward(picture()), expected)


def test_a_failed_load_does_not_hold_the_pool() -> None:
    with pytest.raises(RuntimeError):
        Program("/nowhere.pte", MEAN, STD, 2)
    assert load(threads=3).threads == 3


def test_the_interpreter_lock_is_released_while_it_runs() -> None:
    """With preemption off, another Python thread can only move on while `forward` holds no lock."""
    program, pixels = load(), picture()
    count, stop, started = 0, threading.Event(), threading.Event()

    def work() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            started.set()
            os.sched_yield()  # gives the interpreter lock away for a moment

    interval = sys.getswitchinterval()
    other = threading.Thread(target=work)
    other.start()
    started.wait()
    sys.setswitchinterval(1000)
    try:
        before = count
        while count == before:  # on a busy machine the other thread may get no core for a while
            before = count
            program.forward(pixels)
    finally:
        stop.set()
        sys.setswitchinterval(interval)
    other.join()


def test_threads_take_turns_and_get_their_own_answers() -> None:
    program = load()
    pictures = [picture(seed) for seed in range(8)]
    expected = [program.forward(pixels) for pixels in pictures]
    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(lambda number: (number % 8, program.forward(pictures[number % 8])), range(800)))
    for number, logits in came:
        np.testing.assert_array_equal(logits, expected[number])


def test_nothing_of_the_workshop_is_loaded() -> None:
    code = f"""
import sys, numpy as np
from edge_sdk._native import Program
Program({str(programs() / "last.pte")!r}, {MEAN}, {STD}, 1).forward(np.zeros(({HEIGHT}, {WIDTH}, 3), np.uint8))
print([name for name in ("torch", "executorch", "pandas") if name in sys.modules])
"""
    assert in_fresh_interpreter(code) == "[]\n"


def test_it_shares_a_process_with_the_executorch_package() -> None:
    """The exporter checks what it wrote: both load the same libraries, in either order."""
    program = f"Program({str(programs() / 'last.pte')!r}, {MEAN}, {STD}, 1)"
    native = f"from edge_sdk._native import Program; print({program}.outputs)"
    package = "import warnings; warnings.simplefilter('ignore'); import executorch.extension.pybindings.portable_lib"
    assert in_fresh_interpreter(f"{native}\n{package}\n{native}") == "3\n3\n"
    assert in_fresh_interpreter(f"{package}\n{native}") == "3\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("compiler", [True, False])
def test_the_package_installs_with_and_without_a_compiler(tmp_path: Path, compiler: bool) -> None:
    """The wheel with a compiler holds the module and its libraries; without one it is pure Python, and still comes."""
    source = Path(__file__).resolve().parents[2]
    environment = dict(os.environ) if compiler else os.environ | {"CC": "/nonexistent", "CXX": "/nonexistent"}
    options = ["--wheel-dir", str(tmp_path), f"--config-settings=build-dir={tmp_path / 'build'}"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *options, str(source)],
        check=True,
        env=environment,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    assert wheel.name.endswith("-py3-none-any.whl") is not compiler
    models = [path for package in ("edge_sdk", "cloud_server") for path in (source / package / "models").rglob("*")]
    wanted = {str(path.relative_to(source)) for path in models if path.is_file()}
    assert wanted | {"edge_sdk/py.typed", "cloud_server/py.typed"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "edge_sdk/native/"))]
    libraries = [Path(name).name for name in names if name.startswith("edge_sdk/_lib/")]
    assert len(libraries) == (5 if compiler else 0)
    if compiler:
        (module,) = (tmp_path / "installed" / "edge_sdk").glob("_native.*.so")
        dynamic = subprocess.run(["readelf", "-d", module], capture_output=True, text=True, check=True).stdout
        assert re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic) == ["$ORIGIN/_lib"]
