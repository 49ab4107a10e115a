"""From a big model and a few pictures to a bundle with its report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import little_task
import msgspec
import numpy as np
import pytest
import torch
from rich.console import Console

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.checkpoint import load_checkpoint
from edge_sdk.networks.grouped import Summed
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.workbench.draw_specialist import draw_report
from edge_sdk.workbench.specialize.method import Method
from edge_sdk.workbench.specialize.recipe import Recipe
from edge_sdk.workbench.specialize.report import Report, report_table, write_report
from edge_sdk.workbench.specialize.specialist import Specialist, specialize
from edge_sdk.workbench.specialize.target import parse_targets

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code

FEW = ("blue", "red", "white", "green")
METHOD = Method(pictures=48, recipe=Recipe(steps=25, batch=16, views=64, learning_rate=2e-3, average=0.9, bf16=False))
TEST = little_task.squares(10, FEW, seed=5)


def run(out: Path, *targets: str, arch: str = "resnet10t", method: Method = METHOD, **given: Any) -> Specialist:
    big, info = little_task.trained(arch)
    task = given.pop("task", little_task.squares(6, FEW, seed=4))
    return specialize(big, info, task, out, targets=parse_targets(targets), method=method, **given)


def tree(folder: Path) -> dict[str, int]:
    """Files and when they were written, all but the exports and what was spent."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and "big" not in path.relative_to(folder).parts and path.name != "spent.json"
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Specialist, Path, list[tuple[str, int, int]]]:
    out = tmp_path_factory.mktemp("made") / "little"
    told: list[tuple[str, int, int]] = []
    found = run(
        out,
        "params=3x",
        "macs=1.5x",
        generic=little_task.noise(24),
        test=TEST,
        name="yard",
        on_progress=lambda *part: told.append(part),
    )
    return found, out, told


def test_the_bundle_knows_the_task(made: tuple[Specialist, Path, list[Any]]) -> None:
    found, out, _ = made
    manifest = open_bundle(out).manifest
    assert (manifest.name, manifest.labels) == ("yard", FEW)
    assert (manifest.parameters, manifest.macs) == (found.info.parameters, found.info.macs)
    with LittleModel(found.bundle) as model:
        named = np.array([model.logits(image).argmax() for image in TEST.images])
    assert float((named == TEST.truths).mean()) == found.report.bundle_accuracy
    assert found.report.bundle_accuracy is not None and found.report.bundle_accuracy >= 0.8


def test_the_checkpoint_is_the_network(made: tuple[Specialist, Path, list[Any]]) -> None:
    found, out, _ = made
    assert found.checkpoint == out.with_name("little.safetensors")
    module, info = load_checkpoint(found.checkpoint)
    picture = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(module(picture), found.module(picture))
    assert (info.labels, info.widths) == (FEW, found.info.widths) and info.arch == "resnet10t"
    assert info.parameters == count_parameters(module) and info.macs == count_macs(module, 32, 32)
    assert open_bundle(out).manifest.version == info.version


def test_the_report_says_what_was_asked_and_what_came(made: tuple[Specialist, Path, list[Any]], tmp_path: Path) -> None:
    found, _, _ = made
    report = found.report
    assert [stage.name for stage in report.stages] == [
        "big, restricted to the task",
        "cut",
        "refit",
        "statistics",
        "distillation",
    ]
    big, cut, *_, small = report.stages
    assert big.parameters / small.parameters >= 3 and big.macs / small.macs >= 1.5
    assert (cut.parameters, cut.macs) == (small.parameters, small.macs) == (found.info.parameters, found.info.macs)
    assert small.parameters > big.parameters / 3 / 1.5  # no more than was asked for, about
    assert (report.task, report.pictures, report.test_pictures, report.seed) == (FEW, 24, 40, 0)
    assert report.targets == ("params=3x", "macs=1.5x") and report.model == "resnet10t"
    accuracies = [stage.accuracy for stage in report.stages]
    assert accuracies[0] is not None and accuracies[0] > 0.9 and None not in accuracies
    assert report.control is not None and report.gain == pytest.approx(accuracies[-1] - report.control.accuracy)  # type: ignore
    assert report.big_bundle_accuracy == pytest.approx(accuracies[0], abs=0.1)
    assert found.bundle.model_path.stat().st_size == small.model_bytes
    assert report.smaller > 1 and report.faster > 0 and 0 < report.packed_bytes < report.big_packed_bytes
    assert all(stage.latency_ms is not None and stage.latency_ms > 0 for stage in report.stages)
    assert report.peak_memory_bytes > 10**8 and report.sessions == 1
    assert report.against_big is not None and report.against_control is not None
    for found_difference in (report.against_big, report.against_control):
        assert found_difference.low <= found_difference.value <= found_difference.high
    assert report.against_big.value == pytest.approx((report.bundle_accuracy or 0) - (accuracies[0] or 0))
    assert report.widths == found.info.widths and report.dense == {}
    text = report.sentence()
    assert "x fewer parameters" in text and ") against the big model on the task" in text
    assert "specialization gain" in text
    assert report.missed() == {}
    greedy = msgspec.structs.replace(report, targets=("params=100x", "latency=999x", "size=2kB", "macs=1.5x"))
    missed = greedy.missed()
    assert set(missed) == {"params=100x", "latency=999x", "size=2000B"}
    assert missed["params=100x"] == f"{big.parameters / small.parameters:.2f}x"
    assert "; size=2000B is not met, it came to " in greedy.sentence()
    assert msgspec.structs.replace(report, targets=()).missed() == {}  # a pattern of zeros needs none
    write_report(tmp_path / "r.json", report)
    assert msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Report) == report
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(report_table(report))
    table = console.export_text()
    assert all(stage.name in table for stage in report.stages) and "control: the same on generic pictures" in table
    draw_report(tmp_path / "r.png", report, "title")
    assert (tmp_path / "r.png").stat().st_size > 10_000


def test_the_control_is_as_large_as_the_specialist(made: tuple[Specialist, Path, list[Any]]) -> None:
    """Else the gain would be that of size."""
    report = made[0].report
    assert report.control is not None
    assert report.control.parameters == pytest.approx(report.stages[-1].parameters, rel=0.15)
    assert report.control.macs == pytest.approx(report.stages[-1].macs, rel=0.3)


def test_progress_is_told_to_the_end(made: tuple[Specialist, Path, list[tuple[str, int, int]]]) -> None:
    last: dict[str, tuple[int, int]] = {}
    for what, done, of in made[2]:
        if what.startswith("export:"):  # several bundles, one after the other
            continue
        assert 0 <= done <= of and (what not in last or done >= last[what][0])
        last[what] = (done, of)
    assert all(done == of for done, of in last.values())
    assert {
        "measure sensitivities",
        "refit layer by layer",
        "distillation",
        "control: distillation",
        "export and measure",
    } <= set(last)


@pytest.mark.slow
def test_the_same_call_uses_what_was_kept(made: tuple[Specialist, Path, list[Any]]) -> None:
    found, out, _ = made
    before = tree(out.with_name("little-work"))
    assert len(before) > 20
    again = run(out, "params=3x", "macs=1.5x", generic=little_task.noise(24), test=TEST, name="yard")
    assert tree(out.with_name("little-work")) == before
    own = again.module.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in found.module.state_dict().items())
    accuracies = [[(stage.name, stage.accuracy) for stage in one.report.stages] for one in (found, again)]
    assert accuracies[0] == accuracies[1] and again.report.control == found.report.control
    assert again.info.version == found.info.version
    assert again.report.sessions == found.report.sessions + 1 and again.report.seconds > found.report.seconds


@pytest.mark.slow
def test_an_interrupted_call_comes_to_the_same_end(made: tuple[Specialist, Path, list[Any]], tmp_path: Path) -> None:
    found, _, told = made
    names = list(dict.fromkeys(what for what, _, _ in told if not what.startswith("control")))
    for stop_at in ("measure sensitivities", "refit layer by layer", "distillation"):
        assert stop_at in names

        def stop(what: str, done: int, of: int, stop_at: str = stop_at) -> None:
            if what == stop_at and done == of // 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "little", "params=3x", "macs=1.5x", on_progress=stop)
        assert not (tmp_path / "little").exists()
    again = run(tmp_path / "little", "params=3x", "macs=1.5x", name="yard")
    assert again.report.sessions == 4
    own = again.module.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in found.module.state_dict().items())
    assert again.report.control is None and again.report.gain is None and again.report.bundle_accuracy is None
    assert [stage.accuracy for stage in again.report.stages] == 5 * [None]
    draw_report(tmp_path / "r.png", again.report, "title")
    assert "points" not in again.report.sentence()


GROUPS = (("red", "yellow"), ("blue", "green"))


@pytest.mark.slow
def test_several_classes_of_the_big_model_are_one_of_the_task(tmp_path: Path) -> None:
    mapping = {"red": "warm", "yellow": "warm", "blue": "cold", "green": "cold"}

    def merged(each: int, seed: int) -> Any:
        samples = little_task.squares(each, ("red", "yellow", "blue", "green"), seed=seed)
        return type(samples)(samples.images, samples.truths // 2, ("warm", "cold"))

    big = Summed(little_task.trained()[0], [[little_task.LABELS.index(fine) for fine in group] for group in GROUPS])
    task, test, unlabelled = merged(6, 1), merged(10, 2), little_task.noise(8)
    found = run(tmp_path / "little", "params=2x", task=task, test=test, mapping=mapping, unlabelled=unlabelled)
    assert found.info.labels == ("warm", "cold") and found.info.sums == (2, 2)
    assert found.report.bundle_accuracy is not None and found.report.bundle_accuracy > 0.75
    assert found.report.stages[0].accuracy == little_task.share_right(big, test)
    assert (found.report.pictures, found.report.unlabelled) == (24, 8)
    again, _ = load_checkpoint(found.checkpoint)
    picture = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(picture), found.module(picture)) and again(picture).shape == (2, 2)


NO_LESSONS = msgspec.structs.replace(METHOD, recipe=Recipe(steps=0))


@pytest.mark.slow
def test_size_is_met_by_measuring(tmp_path: Path) -> None:
    told: list[str] = []
    found = run(tmp_path / "little", "size=1.4x", method=NO_LESSONS)
    assert found.report.smaller >= 1.35 and found.report.stages[-1].name == "statistics"
    run(tmp_path / "little", "size=1.4x", method=NO_LESSONS, on_progress=lambda what, *_: told.append(what))
    assert "find a shape" not in told  # what was measured is remaining


def test_what_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"nearest possible is [\d,]+ parameters"):
        run(tmp_path / "little", "params=500x")
    task = little_task.squares(2, ("red", "green"))
    with pytest.raises(WorkbenchError, match=r"it has no 'redd' .close: red"):
        run(tmp_path / "little", "params=2x", task=type(task)(task.images, task.truths, ("redd", "green")))
    for pattern, target, message in (
        ("2:4", "params=2x", "no target beside an N:M pattern"),
        ("unstructured", "macs=2x", "params= as the only target of an unstructured pattern"),
        ("unstructured", "size=2x", "a target on params or macs with this pattern; got size=2x"),
        ("unstructured", "params=400x", r"nearest possible is [\d,]+ \("),
        ("4:2", "params=2x", "N:M with N below M"),
    ):
        with pytest.raises(WorkbenchError, match=message):
            run(tmp_path / "little", target, method=msgspec.structs.replace(METHOD, pattern=pattern))
    assert not list(tmp_path.rglob("taught.pt")) and not (tmp_path / "little").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "targets"), [("2:4", ()), ("unstructured", ("params=2x",))])
def test_zeros_instead_of_narrower_layers(tmp_path: Path, pattern: str, targets: tuple[str, ...]) -> None:
    method = msgspec.structs.replace(METHOD, pattern=pattern)
    report = run(tmp_path / "little", *targets, method=method, test=TEST).report
    assert report.stages[0].parameters / report.stages[-1].parameters > 1.6 and not report.widths
    assert report.packed_bytes < report.big_packed_bytes
    assert report.bundle_accuracy is not None and report.bundle_accuracy > 0.75


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("arch", "fewer"), [("convnext_atto", 2), ("deit_tiny_patch16_224", 2), ("mobilenetv3_small_050", 3)]
)
def test_each_family(tmp_path: Path, arch: str, fewer: int) -> None:
    found = run(tmp_path / "little", f"params={fewer}x", arch=arch, test=TEST, method=METHOD)
    assert found.report.stages[0].parameters / found.info.parameters >= fewer
    module, _ = load_checkpoint(found.checkpoint)
    picture = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(module(picture), found.module(picture))
    assert open_bundle(tmp_path / "little").manifest.labels == FEW
    assert found.report.bundle_accuracy is not None and found.report.bundle_accuracy > 0.4
