import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec, open_bundle
from edge_sdk.model.inputs import prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.grouped import grouped
from edge_sdk.types import View
from edge_sdk.workbench.export import ExportReport, export
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.quantise import logits_of

SPEC = InputSpec(32, 24, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
LABELS = ("a", "b", "c")


def network(*middle: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        *middle,
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.Linear(16, 3),
    ).eval()


def pictures(count: int) -> list[LabelledImage]:
    rng = np.random.default_rng(0)
    images = [np.full((48, 64, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(count)]
    return [LabelledImage(image, LABELS[index % 3]) for index, image in enumerate(images)]


def make(module: nn.Module, out: Path, **changes: object) -> ExportReport:
    settings = {"labels": LABELS, "input": SPEC, "name": "tiny", "version": "1"}
    return export(module, pictures(24), out, **{**settings, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("fp32", [False, True])
def test_the_bundle_says_on_the_device_what_torch_says(tmp_path: Path, fp32: bool) -> None:
    module = network()
    report = make(module, tmp_path / "bundle", fp32=fp32, view=View.BOTH if fp32 else View.FRAME)
    manifest = open_bundle(tmp_path / "bundle").manifest
    assert (manifest.labels, manifest.precision) == (LABELS, "fp32" if fp32 else "int8")
    assert manifest.view == ("both" if fp32 else "frame")
    assert manifest.macs == 12 * 16 * 8 * 27 + 6 * 8 * 16 * 72 + 48
    assert report.agreement >= 0.9
    assert report.float_accuracy is not None and report.bundle_accuracy is not None
    with LittleModel(report.bundle) as little:
        for picture in pictures(6):
            pixels = picture.image[::2, ::2].astype(np.float32) / 255
            tensor = torch.from_numpy((pixels - 0.5) / 0.25).permute(2, 0, 1)[None]
            with torch.inference_mode():
                wanted = module(tensor).numpy()[0]
            assert np.abs(little.logits(picture.image) - wanted).max() < (1e-4 if fp32 else 0.1)


def test_classes_summed_into_groups_stay_small_and_run_whole(tmp_path: Path) -> None:
    head = nn.Linear(3, 300)
    with torch.no_grad():
        head.weight *= 20
    fine = nn.Sequential(network(), head)
    mapping = {str(number): LABELS[number % 3] for number in range(300)}
    module, labels = grouped(fine, [str(number) for number in range(300)], mapping)
    report = make(module.eval(), tmp_path / "bundle", labels=labels, effort="fast")
    assert labels == LABELS and report.outside == () and report.agreement >= 0.9
    assert report.model_bytes < 300 * 3 + 300 * 3 * 4 + 30_000  # weights of one byte, and a matrix of three groups


def test_unlabelled_pictures_give_agreement_alone(tmp_path: Path) -> None:
    images = [picture.image for picture in pictures(8)]
    report = export(network(), images, tmp_path / "b", labels=LABELS, input=SPEC, name="tiny", version="1", fp32=True)
    assert report.float_accuracy is None and report.bundle_accuracy is None and report.agreement == 1


def test_what_is_held_out_is_measured_on(tmp_path: Path) -> None:
    wrong = [LabelledImage(picture.image, "b" if picture.label == "a" else "a") for picture in pictures(6)]
    seen: dict[str, tuple[int, int]] = {}

    def on_progress(what: str, done: int, of: int) -> None:
        seen[what] = done, of

    module = network()
    held = [*wrong, LabelledImage(wrong[0].image, "no label of the network")]
    report = make(module, tmp_path / "bundle", held_out=held, on_progress=on_progress)
    assert (report.pictures, report.measured, report.labelled, report.held_out) == (24, 7, 6, True)
    with torch.inference_mode():
        said = [LABELS[int(logits_of(module, prepare(one.image, SPEC)[None], SPEC).argmax())] for one in wrong]
    assert report.float_accuracy == np.mean([label == one.label for label, one in zip(said, wrong, strict=True)])
    assert seen["capturing the network"] == (1, 1)  # it is named while it runs
    assert seen["calibrating int8"] == (24, 24) and seen["trying int8"] == (6, 6)
    assert seen["reading pictures to measure on"] == (7, 7)
    assert seen["running it in the device's runtime"] == (31, 31)


def test_without_pictures_held_out_the_report_says_so(tmp_path: Path) -> None:
    report = make(network(), tmp_path / "bundle", fp32=True)
    assert (report.pictures, report.measured, report.labelled, report.held_out) == (24, 24, 24, False)


def test_pictures_are_prepared_as_they_come(tmp_path: Path) -> None:
    """A few hundred photos of 12 megapixels would not fit the memory."""
    alive: list[weakref.ref[np.ndarray]] = []

    def read() -> Iterator[np.ndarray]:
        for shade in range(8):
            assert sum(one() is not None for one in alive) <= 1
            image = np.full((960, 1280, 3), 30 * shade, np.uint8)  # small ones may stay for the golden picture
            alive.append(weakref.ref(image))
            yield image

    export(network(), read(), tmp_path / "b", labels=LABELS, input=SPEC, name="tiny", version="1", fp32=True)


def test_outputs_must_be_as_many_as_labels(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"\(1, 2\) logits.*got \(1, 3\)"):
        make(network(), tmp_path / "bundle", labels=("a", "b"))


def test_pictures_are_needed(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="got none"):
        export(network(), [], tmp_path / "b", labels=LABELS, input=SPEC, name="tiny", version="1")


def test_a_program_that_the_runtime_cannot_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("cannot run the network: CALL_DELEGATE execute failed")

    monkeypatch.setattr(LittleModel, "logits", fail)
    with pytest.raises(WorkbenchError, match="the device's runtime runs: cannot run the network: CALL_DELEGATE"):
        make(network(), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
