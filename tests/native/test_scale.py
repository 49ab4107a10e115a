"""edge_sdk/native/scale.hpp on every kind of processor gives the pixels that numpy gives."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.images.scale import scale_plain
from edge_sdk.types import Image

SOURCE = Path(__file__).with_name("scale_pictures.cpp")
CROSS = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64-static"
SIZES = [
    *[((640, 480), (160, 120)), ((299, 299), (224, 224)), ((224, 224), (299, 299)), ((320, 240), (256, 192))],
    *[((1, 1), (5, 3)), ((3, 2), (1, 1)), ((2000, 3), (7, 9)), ((3, 2000), (9, 7)), ((50, 40), (50, 13))],
    *[((61, 47), (width, height)) for width, height in ((1, 47), (15, 15), (16, 16), (17, 33), (61, 46), (122, 94))],
]


def pictures() -> list[Image]:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (height, width, 3), np.uint8) for (width, height), _ in SIZES]
    return [image if index % 2 else image // 128 * 255 for index, image in enumerate(noise)]  # halves: of two levels


def compiled(folder: Path, compiler: str, *options: str) -> Path:
    program = folder / "scale_pictures"
    command = [compiler, "-std=c++20", "-O3", "-Wall", "-Wextra", "-Werror", *options, str(SOURCE), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def check(command: list[str]) -> None:
    """All pictures in one run, one after another through one scaler."""
    told = b"".join(
        np.array([*reversed(image.shape[:2]), *size], np.int32).tobytes() + image.tobytes()
        for image, (_, size) in zip(pictures(), SIZES, strict=True)
    )
    done = subprocess.run(command, input=told, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    came = np.frombuffer(done.stdout, np.uint8)
    for image, (_, (width, height)) in zip(pictures(), SIZES, strict=True):
        part, came = came[: 3 * width * height], came[3 * width * height :]
        np.testing.assert_array_equal(part.reshape(height, width, 3), scale_plain(image, width, height))
    assert not came.size


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler: sudo apt install g++")
@pytest.mark.parametrize("options", [(), ("-DEDGE_PLAIN",)], ids=["vectors", "plain"])
def test_on_this_processor_within_its_memory(options: tuple[str, ...], tmp_path: Path) -> None:
    check([str(compiled(tmp_path, "g++", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover", *options))])


@pytest.mark.skipif(
    shutil.which(CROSS) is None or shutil.which(EMULATOR) is None,
    reason=f"no {CROSS} or no {EMULATOR}: sudo apt install g++-aarch64-linux-gnu qemu-user-static",
)
@pytest.mark.skipif(platform.machine() == "aarch64", reason="this is one")
def test_on_the_processors_of_small_computers(tmp_path: Path) -> None:
    program = compiled(tmp_path, CROSS, "-static")
    for processor in ("cortex-a53", "cortex-a72", "cortex-a76"):
        check([EMULATOR, "-cpu", processor, str(program)])
