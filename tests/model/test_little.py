from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_network import HEIGHT, LABELS, MEAN, STD, WIDTH, manifest, picture, programs, write_tiny_bundle

from edge_sdk.errors import BundleError, ConfigError, EdgeError, ImageError
from edge_sdk.images.close_up import close_up
from edge_sdk.images.scale import scale
from edge_sdk.model import inputs
from edge_sdk.model.bundle import Bundle, InputSpec, write_bundle
from edge_sdk.model.inputs import prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.model.policy import Policy
from edge_sdk.testing import FakeRuntime, write_fake_bundle
from edge_sdk.types import Image, Region, View


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", Policy(temperature=2.0))


def run(code: str, expect: int = 0) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == expect, done.stderr
    return done.stdout


def test_it_knows_its_bundle(bundle: Bundle) -> None:
    with LittleModel(bundle.path) as model:
        assert model.bundle == bundle
        assert (model.labels, model.macs, model.manifest.name, model.threads) == (LABELS, 1000, "tiny", 1)


def test_probabilities_are_the_softmax_of_the_logits_over_the_temperature(bundle: Bundle) -> None:
    with LittleModel(bundle) as model:
        logits = model.logits(picture(3)).astype(np.float64)
        prediction = model.predict(picture(3))
    weights = np.exp(logits / 2.0)
    np.testing.assert_allclose(prediction.probabilities, weights / weights.sum(), rtol=1e-5)
    assert prediction.probabilities.dtype == np.float32
    assert prediction.labels == LABELS
    assert prediction.label == LABELS[int(logits.argmax())]


REGION = Region(60, 30, 20, 16, 1.0)


def test_a_model_looks_at_the_frame_at_its_region_or_at_both(bundle: Bundle) -> None:
    image = picture(0, 640, 480)
    image[:100, :120] //= 8
    near = close_up(REGION, 640, 480, WIDTH, HEIGHT).of(image)
    with LittleModel(bundle) as model:
        whole, alone = model.predict(image), model.predict(np.ascontiguousarray(near))
        assert np.abs(whole.probabilities - alone.probabilities).max() > 1e-4
        for view, expected in (
            (None, whole.probabilities),
            (View.FRAME, whole.probabilities),
            (View.REGION, alone.probabilities),
            (View.BOTH, (whole.probabilities + alone.probabilities) / 2),
        ):
            came = model.predict(image, REGION, view).probabilities
            np.testing.assert_array_equal(came, expected)
            np.testing.assert_array_equal(model.predict(image, None, view).probabilities, whole.probabilities)
        looks = [len(model.looks(image, REGION, view)) for view in View]
    assert looks == [1, 1, 2]


def test_the_manifest_says_what_is_looked_at(bundle: Bundle) -> None:
    image = picture(0, 640, 480)
    twice = Bundle(bundle.path, msgspec.structs.replace(bundle.manifest, view="both"), bundle.policy)
    with LittleModel(bundle) as plain, LittleModel(twice) as model:
        expected = plain.predict(image, REGION, View.BOTH).probabilities
        np.testing.assert_array_equal(model.predict(image, REGION).probabilities, expected)
        np.testing.assert_array_equal(model.predict(image).probabilities, plain.predict(image).probabilities)


def test_a_region_that_needs_the_whole_picture_is_one_look(bundle: Bundle) -> None:
    image = picture(0, 4 * WIDTH, 4 * HEIGHT)
    with LittleModel(bundle) as model:
        assert len(model.looks(image, Region(0, 0, 4 * WIDTH, 9, 1.0), View.BOTH)) == 1


def test_the_programs_that_do_not_scale_look_at_regions_too(tmp_path: Path) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[200:240, 300:360] = 255
    bundle, runtime = write_fake_bundle(tmp_path / "fake"), FakeRuntime()
    with LittleModel(bundle, runtime=runtime) as model:
        assert model.predict(image, Region(300, 200, 60, 40, 1.0)).label == "dark"
        image[100:340, 200:460] = 255
        assert model.predict(image, Region(300, 200, 60, 40, 1.0), View.REGION).label == "bright"
    assert (runtime.seen[-1] == 255).all()


def test_large_logits_do_not_overflow(bundle: Bundle) -> None:
    steep = Bundle(bundle.path, bundle.manifest, Policy(temperature=1e-6))
    with LittleModel(steep) as model:
        prediction = model.predict(picture(3))
    assert prediction.confidence == pytest.approx(1.0)
    assert np.isfinite(prediction.probabilities).all()


def test_any_size_is_taken_by_the_resize_rule(bundle: Bundle) -> None:
    with LittleModel(bundle) as model:
        large = picture(0, 640, 480)
        np.testing.assert_array_equal(model.logits(large), model.logits(prepare(large, bundle.manifest.input)))


def test_several_threads_share_one_model(bundle: Bundle) -> None:
    pictures = [picture(seed, 64, 48) for seed in range(6)]
    with LittleModel(bundle, threads=2) as model, ThreadPoolExecutor(6) as pool:
        expected = [model.predict(image).probabilities for image in pictures]
        for _ in range(20):
            for want, came in zip(expected, pool.map(model.predict, pictures), strict=True):
                np.testing.assert_array_equal(came.probabilities, want)


def test_a_closed_model_says_so(bundle: Bundle) -> None:
    model = LittleModel(bundle)
    model.close()
    model.close()
    with pytest.raises(EdgeError, match="expected an open model; this LittleModel was closed"):
        model.predict(picture())


@pytest.mark.parametrize("image", [np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH, 3), np.float32), None])
def test_what_is_no_picture_is_refused(bundle: Bundle, image: object) -> None:
    with LittleModel(bundle) as model, pytest.raises(ImageError, match="expected"):
        model.predict(image)  # type: ignore[arg-type]


def test_threads_that_cannot_be_had(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="threads: expected 1 to 64; got 0"):
        LittleModel(bundle, threads=0)


def with_manifest(path: Path, program: str = "last", **changes: object) -> Bundle:
    file = programs() / f"{program}.pte"
    changed = msgspec.structs.replace(manifest(programs() / "last.pte"), **changes)
    size = changed.input
    return write_bundle(path, model=file, manifest=changed, golden=picture(0, size.width, size.height))


def test_pixels_that_are_scaled_wrongly_stop_the_load(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_bundle(
        tmp_path / "tiny", model=bundle.model_path, manifest=bundle.manifest, golden=picture(0, WIDTH, 3 * HEIGHT)
    )

    def one_level_off(image: Image, width: int, height: int) -> Image:
        wrong = scale(image, width, height).copy()
        wrong[0, 0, 0] ^= 1
        return wrong

    monkeypatch.setattr(inputs, "scale", one_level_off)
    with pytest.raises(BundleError, match=r"this install scales pictures wrongly: for golden\.png expected pixels "):
        LittleModel(whole)


def test_a_golden_picture_with_another_output_stops_the_load(tmp_path: Path) -> None:
    golden = manifest(programs() / "last.pte").golden
    wrong = msgspec.structs.replace(golden, logits=(golden.logits[0] + 1.0, *golden.logits[1:]))
    bundle = with_manifest(tmp_path / "tiny", golden=wrong)
    with pytest.raises(BundleError, match=r"wrong results .* expected the logit of 'empty' within 0\.05 of"):
        LittleModel(bundle)


def test_an_output_that_is_no_number_stops_the_load(tmp_path: Path) -> None:
    golden = manifest(programs() / "last.pte").golden
    bundle = with_manifest(tmp_path / "tiny", golden=golden)
    blind = msgspec.structs.replace(golden, logits=(float("nan"),) * 3)
    with pytest.raises(BundleError, match="wrong results on this processor"):
        LittleModel(Bundle(bundle.path, msgspec.structs.replace(bundle.manifest, golden=blind), bundle.policy))


def test_labels_that_do_not_fit_the_outputs(tmp_path: Path) -> None:
    golden = msgspec.structs.replace(manifest(programs() / "last.pte").golden, logits=(0.0, 0.0))
    bundle = with_manifest(tmp_path / "tiny", labels=("a", "b"), golden=golden)
    with pytest.raises(BundleError, match=r"model\.pte: expected 2 outputs, one per label; got 3"):
        LittleModel(bundle)


def test_an_input_of_another_size(tmp_path: Path) -> None:
    bundle = with_manifest(tmp_path / "tiny", input=InputSpec(32, 32, MEAN, STD))
    with pytest.raises(BundleError, match=f"expected an input of 32x32 as the manifest says; got {WIDTH}x{HEIGHT}"):
        LittleModel(bundle)


def test_a_program_that_is_none(tmp_path: Path) -> None:
    bundle = write_bundle(
        tmp_path / "tiny", model=b"not a program" * 100, manifest=manifest(programs() / "last.pte"), golden=picture()
    )
    with pytest.raises(BundleError, match=r"expected a program that the runtime can load; got: .*ExecuTorch's Error::"):
        LittleModel(bundle)


def test_a_program_without_forward(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match='expected a method "forward"; got encode'):
        LittleModel(with_manifest(tmp_path / "tiny", program="no_forward"))


def test_a_missing_bundle() -> None:
    with pytest.raises(BundleError, match="expected a bundle: a folder, or the name of one that ships"):
        LittleModel("no such bundle")


# What it runs on


def test_importing_it_loads_nothing_of_the_workshop() -> None:
    code = """
import sys, edge_sdk.model.little
print([name for name in ("torch", "torchvision", "timm", "executorch", "torchao", "pandas") if name in sys.modules])
"""
    assert run(code) == "[]\n"


def test_predicting_loads_nothing_of_the_workshop(bundle: Bundle) -> None:
    code = f"""
import sys, numpy as np
from edge_sdk.model.little import LittleModel
print(LittleModel({os.fspath(bundle.path)!r}).predict(np.zeros((480, 640, 3), np.uint8)).label in {LABELS})
print([name for name in ("torch", "executorch", "pandas") if name in sys.modules])
"""
    assert run(code) == "True\n[]\n"


BLOCK = """
import sys, warnings
warnings.simplefilter("ignore")
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


def test_without_a_compiled_module_the_executorch_package_computes_the_same(bundle: Bundle) -> None:
    with LittleModel(bundle) as model:
        expected = [model.logits(picture(seed, 64, 48)).tolist() for seed in range(3)]
    code = f"""
BLOCKED = {{"edge_sdk._native"}}
{BLOCK}
import numpy as np
from edge_sdk.model.little import LittleModel
with LittleModel({os.fspath(bundle.path)!r}, threads=2) as model:
    assert model.runtime == "executorch"
    logits = [model.logits(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)) for seed in range(3)]
    print([values.tolist() for values in logits])
"""
    np.testing.assert_allclose(eval(run(code).splitlines()[-1]), expected, atol=0.05)


def test_without_either_runtime_the_error_says_what_to_install(bundle: Bundle) -> None:
    code = f"""
BLOCKED = {{"edge_sdk._native", "executorch"}}
{BLOCK}
from edge_sdk.errors import RuntimeMissing
from edge_sdk.model.little import LittleModel
try:
    LittleModel({os.fspath(bundle.path)!r})
except RuntimeMissing as error:
    print(error)
"""
    message = run(code)
    assert "-m pip install executorch" in message
    assert "C++ compiler" in message
