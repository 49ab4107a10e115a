from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
from tiny_network import LABELS, MEAN, SPEC, STD, picture, programs

from edge_sdk._native import Program
from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model import native_runtime
from edge_sdk.model.inputs import place, prepare
from edge_sdk.model.native_runtime import NativeRuntime
from edge_sdk.model.runtime import ScalingProgram

PROGRAM = "last.pte"


def test_it_loads_what_the_compiled_module_runs() -> None:
    path = programs() / PROGRAM
    program = NativeRuntime().load(path, SPEC, 1)
    assert (program.width, program.height, program.outputs) == (SPEC.width, SPEC.height, len(LABELS))
    expected = Program(str(path), MEAN, STD, 1).forward(picture())
    np.testing.assert_array_equal(program.forward(picture()), expected)


@pytest.mark.parametrize("name", ["last.pte", "first.pte"])
@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
def test_one_pass_from_a_picture_of_any_size_gives_what_two_steps_give(name: str, resize: Literal["crop"]) -> None:
    spec = msgspec.structs.replace(SPEC, resize=resize)
    program = NativeRuntime().load(programs() / name, spec, 1)
    assert isinstance(program, ScalingProgram)
    whole = picture(1, 300, 200)
    for image in (whole, whole[20:90, 10:260], whole[:, 100:101], picture(2, 7, 5), picture()):
        cut, *part = place(image, spec)
        came = program.forward_scaled(cut, part, spec.fill)
        np.testing.assert_array_equal(came, program.forward(prepare(image, spec)))


def test_a_picture_or_a_part_that_does_not_fit_is_refused() -> None:
    program = NativeRuntime().load(programs() / PROGRAM, SPEC, 1)
    assert isinstance(program, ScalingProgram)
    whole = (0, 0, SPEC.width, SPEC.height)
    for image in (picture()[:, ::2], picture()[..., :2], picture()[:0]):
        with pytest.raises(ValueError, match=r"expected uint8 \(height, width, 3\) with contiguous rows; got \("):
            program.forward_scaled(image, whole, SPEC.fill)
    for part in ((1, 0, SPEC.width, SPEC.height), (0, 0, 0, 1), (0, 1, SPEC.width, SPEC.height)):
        with pytest.raises(ValueError, match="expected a part of an input of 40x24; got "):
            program.forward_scaled(picture(), part, SPEC.fill)


def test_its_errors_are_the_sdks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads: expected 1 to 64; got 0"):
        NativeRuntime().load(programs() / PROGRAM, SPEC, 0)
    (tmp_path / "broken.pte").write_bytes(b"no program" * 100)
    with pytest.raises(BundleError, match=r"broken\.pte: expected a program that the runtime can load; got: "):
        NativeRuntime().load(tmp_path / "broken.pte", SPEC, 1)


def test_without_the_processors_description_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses:
        @staticmethod
        def Program(*arguments: object) -> None:
            raise RuntimeError('cannot load "forward": Error::NotFound (Backend XnnpackBackend is not available.)')

    monkeypatch.setitem(sys.modules, "edge_sdk._native", Refuses)
    monkeypatch.setattr(native_runtime, "_PROCESSORS", "/nowhere")
    with pytest.raises(BundleError, match=r"expected the folder /nowhere; it is missing\. A sandbox.*needs it mounted"):
        NativeRuntime().load(Path("model.pte"), SPEC, 1)
