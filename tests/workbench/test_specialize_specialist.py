"""From a big model and a few pictures to a bundle with its report."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import little_task
import msgspec
import numpy as np
import pytest
import torch
from rich.console import Console

from edge_sdk.bundle import open_bundle
from edge_sdk.errors import WorkbenchError
from edge_sdk.model import LittleModel
from edge_sdk.workbench.checkpoint import load_checkpoint
from edge_sdk.workbench.draw import draw_report
from edge_sdk.workbench.macs import count_macs, count_parameters
from edge_sdk.workbench.specialize import specialist
from edge_sdk.workbench.specialize.allocate import Limits, least_of
from edge_sdk.workbench.specialize.compress import Method, weigh
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.head import restrict
from edge_sdk.workbench.specialize.recover import Recipe
from edge_sdk.workbench.specialize.report import Report, report_table, write_report
from edge_sdk.workbench.specialize.specialist import Specialist, specialize
from edge_sdk.workbench.specialize.structure import find_structure
from edge_sdk.workbench.specialize.target import parse_targets

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code

FEW = ("blue", "red", "white", "green")
METHOD = Method(pictures=48, recipe=Recipe(steps=25, batch=16, views=64, learning_rate=2e-3, average=0.9, bf16=False))
TEST = little_task.squares(10, FEW, seed=5)


def run(out: Path, *targets: str, arch: str = "resnet10t", method: Method = METHOD, **given: Any) -> Specialist:
    big, info = little_task.trained(arch)
    task = given.pop("task", little_task.squares(6, FEW, seed=4))
    return specialize(big, info, task, out, targets=parse_targets(targets) if targets else (), method=method, **given)


def tree(folder: Path) -> dict[str, int]:
    """Files and when they were written, all but the exports."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and "big" not in path.relative_to(folder).parts
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
        "lessons",
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
    assert 0 < report.model_bytes < report.big_model_bytes and 0 < report.packed_bytes < report.big_packed_bytes
    assert min(report.latency_ms, report.big_latency_ms, report.seconds) > 0
    assert report.peak_memory_bytes > 10**8
    assert report.widths == found.info.widths and report.dense == {}
    text = report.sentence()
    assert "x fewer parameters" in text and "points against the big model on the task" in text
    assert "specialization gain" in text
    write_report(tmp_path / "r.json", report)
    assert msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Report) == report
    console = Console(width=200, record=True, quiet=True)
    console.print(report_table(report))
    table = console.export_text()
    assert all(stage.name in table for stage in report.stages) and "control: the same on generic pictures" in table
    draw_report(tmp_path / "r.png", report, "title")
    assert (tmp_path / "r.png").stat().st_size > 10_000


def test_the_control_is_as_large_as_the_specialist(made: tuple[Specialist, Path, list[Any]]) -> None:
    """Else the gain would be that of size."""
    report = made[0].report
    assert report.control is not None
    assert report.control.parameters == pytest.approx(report.stages[-1].parameters, rel=0.1)
    assert report.control.macs == pytest.approx(report.stages[-1].macs, rel=0.3)


def test_progress_is_told_to_the_end(made: tuple[Specialist, Path, list[tuple[str, int, int]]]) -> None:
    last: dict[str, tuple[int, int]] = {}
    for what, done, of in made[2]:
        assert 0 <= done <= of and (what not in last or done >= last[what][0])
        last[what] = (done, of)
    assert all(done == of for done, of in last.values())
    assert {"weigh channels", "refit layer by layer", "lessons", "control: lessons", "export and measure"} <= set(last)


def test_the_same_call_uses_what_was_kept(made: tuple[Specialist, Path, list[Any]]) -> None:
    found, out, _ = made
    before = tree(out.with_name("little-work"))
    assert len(before) > 20
    again = run(out, "params=3x", "macs=1.5x", generic=little_task.noise(24), test=TEST, name="yard")
    assert tree(out.with_name("little-work")) == before
    own = again.module.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in found.module.state_dict().items())
    assert again.report.stages == found.report.stages and again.report.control == found.report.control
    assert again.info.version == found.info.version


def test_an_interrupted_call_comes_to_the_same_end(made: tuple[Specialist, Path, list[Any]], tmp_path: Path) -> None:
    found, _, told = made
    names = list(dict.fromkeys(what for what, _, _ in told if not what.startswith("control")))
    for stop_at in ("weigh channels", "refit layer by layer", "lessons"):
        assert stop_at in names

        def stop(what: str, done: int, of: int, stop_at: str = stop_at) -> None:
            if what == stop_at and done == of // 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "little", "params=3x", "macs=1.5x", on_progress=stop)
        assert not (tmp_path / "little").exists()
    again = run(tmp_path / "little", "params=3x", "macs=1.5x", name="yard")
    own = again.module.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in found.module.state_dict().items())
    assert again.report.control is None and again.report.gain is None and again.report.bundle_accuracy is None
    assert [stage.accuracy for stage in again.report.stages] == 5 * [None]
    draw_report(tmp_path / "r.png", again.report, "title")
    assert "points" not in again.report.sentence()


def test_several_classes_of_the_big_model_are_one_of_the_task(tmp_path: Path) -> None:
    mapping = {"red": "warm", "yellow": "warm", "blue": "cold", "green": "cold"}

    def merged(each: int, seed: int) -> Any:
        samples = little_task.squares(each, ("red", "yellow", "blue", "green"), seed=seed)
        return type(samples)(samples.images, samples.truths // 2, ("warm", "cold"))

    found = run(tmp_path / "little", "params=2x", task=merged(6, 1), test=merged(10, 2), mapping=mapping)
    assert found.info.labels == ("warm", "cold")
    assert found.report.bundle_accuracy is not None and found.report.bundle_accuracy > 0.75


def test_what_cannot_be_is_refused_before_any_lesson(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"nearest possible is [\d,]+ parameters"):
        run(tmp_path / "little", "params=500x")
    with pytest.raises(WorkbenchError, match=r"got .* bytes \(nearest possible: "):
        run(tmp_path / "little", "size=1kB")
    with pytest.raises(WorkbenchError, match=r"got 1e-05 ms \(nearest possible: "):
        run(tmp_path / "little", "latency_ms=0.00001")
    task = little_task.squares(2, ("red", "green"))
    with pytest.raises(WorkbenchError, match="it has no 'redd' .close: red"):
        run(tmp_path / "little", "params=2x", task=type(task)(task.images, task.truths, ("redd", "green")))
    assert not list(tmp_path.rglob("taught.pt")) and not (tmp_path / "little").exists()


NO_LESSONS = msgspec.structs.replace(METHOD, recipe=Recipe(steps=0))


def test_size_is_met_by_measuring(tmp_path: Path) -> None:
    found = run(tmp_path / "little", "size=1.4x", method=NO_LESSONS)
    assert found.report.big_model_bytes / found.report.model_bytes >= 1.35
    assert found.report.stages[-1].name == "statistics"


class FakeRuntime:
    """Milliseconds and bytes as functions of the shape."""

    def __init__(self, cost: Cost, power: float, fixed: float) -> None:
        self.cost, self.power, self.fixed, self.asked = cost, power, fixed, 0

    def measure(self, numbers: Mapping[str, int]) -> tuple[float, int]:
        self.asked += 1
        parameters, macs = self.cost.of(numbers)
        ms = self.fixed + (1 - self.fixed) * (macs / self.cost.macs) ** self.power
        return ms, round(1e6 * (self.fixed + (1 - self.fixed) * parameters / self.cost.parameters))


@pytest.mark.parametrize("power", [0.6, 1.0, 1.6])
@pytest.mark.parametrize("fixed", [0.02, 0.2])
@pytest.mark.parametrize(("target", "index"), [("latency_ms=0.7", 0), ("latency_ms=0.5", 0)])
def test_a_target_on_time_is_met_closely_in_few_tries(power: float, fixed: float, target: str, index: int) -> None:
    big, _ = little_task.trained()
    structure = find_structure(big, 32, 32)
    cost = Cost(big, structure, 32, 32)
    harm = damages()
    runtime: Any = FakeRuntime(cost, power, fixed)
    (wanted,) = parse_targets([target])
    if runtime.measure({group.name: least_of(group) for group in structure.groups})[index] > wanted.value:
        pytest.fail("the test asks for too much")
    found = specialist._limits(big, structure, harm, little_task.SPEC, [wanted], runtime, None)
    shape = specialist.allocate(cost, structure.groups, harm, found)
    ms, _ = runtime.measure(shape)
    assert 0.85 * wanted.value <= ms <= wanted.value
    assert runtime.asked <= 9


def test_measured_and_counted_targets_hold_together() -> None:
    big, _ = little_task.trained()
    structure = find_structure(big, 32, 32)
    cost = Cost(big, structure, 32, 32)
    runtime: Any = FakeRuntime(cost, 1.0, 0.05)
    wanted = parse_targets(["latency_ms=0.6,params=2x"])
    limits = specialist._limits(big, structure, damages(), little_task.SPEC, wanted, runtime, None)
    assert limits.parameters == cost.parameters // 2 and limits.macs is not None
    shape = specialist.allocate(cost, structure.groups, damages(), limits)
    assert runtime.measure(shape)[0] <= 0.6 and cost.of(shape)[0] <= cost.parameters // 2
    plain = specialist._limits(big, structure, damages(), little_task.SPEC, parse_targets(["params=2x"]), runtime, None)
    assert plain == Limits(cost.parameters // 2)


def damages() -> Any:
    big, _ = little_task.trained()
    structure = find_structure(big, 32, 32)
    if not _DAMAGES:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            samples = little_task.squares(4, little_task.LABELS)
            _DAMAGES.update(weigh(big, structure, samples, little_task.SPEC, METHOD, Path(folder)))
    return _DAMAGES


_DAMAGES: dict[str, Any] = {}


@pytest.mark.parametrize(("pattern", "targets"), [("2:4", ()), ("unstructured", ("params=2x",))])
def test_zeros_instead_of_narrower_layers(tmp_path: Path, pattern: str, targets: tuple[str, ...]) -> None:
    method = msgspec.structs.replace(METHOD, pattern=pattern)
    found = run(tmp_path / "little", *targets, method=method, test=TEST, generic=little_task.noise(24))
    report = found.report
    big, small = report.stages[0], report.stages[-1]
    zeros = sum(int((parameter == 0).sum()) for parameter in found.module.parameters())
    assert found.info.parameters == big.parameters and small.parameters == big.parameters - zeros
    assert 1.6 < big.parameters / small.parameters < 2.2 and small.macs == big.macs
    assert report.packed_bytes < report.big_packed_bytes
    assert [stage.name for stage in report.stages[1:]] == ["zeros", "statistics", "lessons"]
    assert "the classifier decides" in report.dense.values() and not report.widths
    assert report.bundle_accuracy is not None and report.bundle_accuracy > 0.75
    assert report.control is not None and report.control.accuracy is not None


def test_a_gradual_schedule_halves_round_by_round(tmp_path: Path) -> None:
    method = msgspec.structs.replace(METHOD, schedule="gradual")
    found = run(tmp_path / "little", "params=4x", method=method, test=TEST)
    lessons = [stage for stage in found.report.stages if stage.name.startswith("lessons")]
    assert [stage.name for stage in lessons] == ["lessons, round 1 of 2", "lessons, round 2 of 2"]
    whole = found.report.stages[0].parameters
    assert 1.9 < whole / lessons[0].parameters < 2.6 and 4 <= whole / lessons[1].parameters < 5
    assert found.report.bundle_accuracy is not None and found.report.bundle_accuracy > 0.7
    module, _ = load_checkpoint(found.checkpoint)
    picture = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(module(picture), found.module(picture))


def test_gradual_zeros_reach_the_target(tmp_path: Path) -> None:
    method = msgspec.structs.replace(METHOD, schedule="gradual", pattern="unstructured", allocation="even")
    found = run(tmp_path / "little", "params=3x", method=method)
    zeros = [stage for stage in found.report.stages if stage.name.startswith("zeros")]
    assert len(zeros) >= 2 and all(a.parameters > b.parameters for a, b in zip(zeros, zeros[1:], strict=False))
    assert found.report.stages[0].parameters / found.report.stages[-1].parameters >= 2.95


def test_zeros_have_targets_of_their_own(tmp_path: Path) -> None:
    for pattern, target, message in (
        ("2:4", "params=2x", "no target beside an N:M pattern"),
        ("unstructured", "macs=2x", "params= as the only target of an unstructured pattern"),
        ("unstructured", "size=2x", "a target on params or macs with this pattern; got size=2x"),
        ("unstructured", "params=400x", r"nearest possible is [\d,]+ \("),
        ("4:2", "params=2x", "N:M with N below M"),
    ):
        with pytest.raises(WorkbenchError, match=message):
            run(tmp_path / "little", target, method=msgspec.structs.replace(METHOD, pattern=pattern))


def test_even_allocation_and_plain_rounding(tmp_path: Path) -> None:
    method = msgspec.structs.replace(NO_LESSONS, allocation="even", rounding="nearest")
    found = run(tmp_path / "little", "macs=2x", method=method)
    assert found.report.stages[0].macs / found.info.macs >= 2
    assert not list(tmp_path.rglob("rounded.pt"))
    big, _ = little_task.trained()
    members = [[little_task.LABELS.index(label)] for label in FEW]
    shares = {
        group.name: found.info.widths[group.name] / group.channels
        for group in find_structure(restrict(big, members), 32, 32).groups
    }
    assert max(shares.values()) - min(shares.values()) < 0.35


def test_the_big_model_stays_as_it_is(tmp_path: Path) -> None:
    big, _ = little_task.trained()
    before = copy.deepcopy(big.state_dict())
    run(tmp_path / "little", "params=2x", method=NO_LESSONS, generic=little_task.noise(24))
    assert all(torch.equal(value, before[name]) for name, value in big.state_dict().items())
    assert not big.training and all(parameter.requires_grad for parameter in big.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "allow", "fewer"),
    [
        ("convnext_atto", ("native_layer_norm", "layer_norm"), 2),
        ("deit_tiny_patch16_224", ("native_layer_norm", "scaled_dot_product_attention", "bmm", "_softmax"), 2),
        ("mobilenetv3_small_050", (), 3),
        ("efficientnet_lite0", (), 4),
        ("lcnet_050", (), 3),
    ],
)
def test_each_family(tmp_path: Path, arch: str, allow: tuple[str, ...], fewer: int) -> None:
    found = run(tmp_path / "little", f"params={fewer}x", arch=arch, allow=allow, test=TEST, method=METHOD)
    assert found.report.stages[0].parameters / found.info.parameters >= fewer
    module, _ = load_checkpoint(found.checkpoint)
    picture = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(module(picture), found.module(picture))
    assert open_bundle(tmp_path / "little").manifest.labels == FEW
    assert found.report.bundle_accuracy is not None and found.report.bundle_accuracy > 0.4
