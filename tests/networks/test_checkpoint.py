import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import CheckpointInfo, create_model, load_checkpoint, save_checkpoint
from edge_sdk.networks.grouped import summed

SPEC = InputSpec(64, 48, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
LABELS = ("deer", "empty", "fox")

Model = tuple[torch.nn.Module, CheckpointInfo]


@pytest.fixture(scope="module")
def small() -> tuple[torch.nn.Module, CheckpointInfo]:
    torch.manual_seed(0)
    return create_model("lcnet_035", labels=LABELS, input=SPEC)


@pytest.fixture(scope="module")
def narrow(small: Model) -> tuple[torch.nn.Module, CheckpointInfo]:
    """A pruned network."""
    import copy

    from edge_sdk.networks.pruning.structure import find_structure, prune, widths

    module, info = small
    cut = copy.deepcopy(module)
    groups = find_structure(cut, SPEC.width, SPEC.height).groups
    remaining = {group.name: torch.arange(group.channels)[1 :: 2 if group.channels > 8 else 1] for group in groups}
    prune(cut, SPEC.width, SPEC.height, remaining)
    return cut, msgspec.structs.replace(
        info, widths=widths(remaining), parameters=sum(p.numel() for p in cut.parameters())
    )


def test_a_checkpoint_comes_back_whole(small: Model, tmp_path: Path) -> None:
    module, info = small
    path = save_checkpoint(tmp_path / "deep" / "m.safetensors", module, info)
    again, told = load_checkpoint(path)
    assert (told.arch, told.labels, told.input, told.macs) == ("lcnet_035", LABELS, SPEC, info.macs)
    assert told.macs > 0 and told.parameters == sum(p.numel() for p in module.parameters())
    picture = torch.randn(1, 3, 48, 64)
    assert torch.equal(again(picture), module(picture))
    assert not again.training


def test_a_sum_of_finer_classes_comes_back(small: Model, tmp_path: Path) -> None:
    module, info = small
    info = msgspec.structs.replace(info, labels=("animal", "empty"), sums=(2, 1))
    path = save_checkpoint(tmp_path / "m.safetensors", summed(module, info.sums), info)
    again, told = load_checkpoint(path)
    picture = torch.randn(1, 3, 48, 64)
    assert told.sums == (2, 1) and torch.equal(again(picture), summed(module, (2, 1))(picture))
    other, fresh = create_model(str(path), labels=LABELS[::-1])
    assert fresh.sums == () and other(picture).shape == (1, 3)


def test_a_checkpoint_has_the_mode_of_any_new_file(small: Model, tmp_path: Path) -> None:
    module, info = small
    (tmp_path / "other").touch()
    path = save_checkpoint(tmp_path / "m.safetensors", module, info)
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_half_precision_is_half_the_file_and_loads_as_float32(small: Model, tmp_path: Path) -> None:
    module, info = small
    whole = save_checkpoint(tmp_path / "whole.safetensors", module, info)
    half = save_checkpoint(tmp_path / "half.safetensors", module, info, half=True)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    again, _ = load_checkpoint(half)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    picture = torch.randn(1, 3, 48, 64)
    torch.testing.assert_close(again(picture), module(picture), rtol=0.05, atol=0.02)


def test_an_unnamed_version_is_the_files_own(small: Model, tmp_path: Path) -> None:
    import msgspec

    module, info = small
    path = save_checkpoint(tmp_path / "m.safetensors", module, msgspec.structs.replace(info, version=""))
    assert len(load_checkpoint(path)[1].version) == 12


def test_options_of_the_architecture_travel_along(tmp_path: Path) -> None:
    module, info = create_model("lcnet_035", labels=LABELS, input=SPEC, options={"global_pool": "max"})
    again, told = load_checkpoint(save_checkpoint(tmp_path / "m.safetensors", module, info))
    assert told.options == {"global_pool": "max"}
    picture = torch.randn(1, 3, 48, 64)
    assert torch.equal(again(picture), module(picture))


def test_other_labels_give_a_fresh_head_on_old_weights(small: Model, tmp_path: Path) -> None:
    module, info = small
    path = save_checkpoint(tmp_path / "m.safetensors", module, info)
    tuned, told = create_model(str(path), labels=["cat", "dog"])
    assert told.labels == ("cat", "dog")
    assert torch.equal(tuned.conv_stem.weight, module.conv_stem.weight)  # type: ignore[arg-type, union-attr]
    assert tuned(torch.zeros(1, 3, 48, 64)).shape == (1, 2)


def test_a_pruned_network_comes_back_as_narrow_as_it_was(narrow: Model, small: Model, tmp_path: Path) -> None:
    cut, info = narrow
    again, told = load_checkpoint(save_checkpoint(tmp_path / "m.safetensors", cut, info))
    assert told.widths == info.widths and info.parameters < small[1].parameters / 2
    picture = torch.randn(1, 3, 48, 64)
    assert torch.equal(again(picture), cut(picture))


def test_other_labels_give_a_fresh_head_on_a_pruned_network(narrow: Model, tmp_path: Path) -> None:
    cut, info = narrow
    path = save_checkpoint(tmp_path / "m.safetensors", cut, info)
    tuned, told = create_model(str(path), labels=["cat", "dog"])
    assert (told.widths, told.labels) == (info.widths, ("cat", "dog"))
    assert told.parameters == sum(p.numel() for p in tuned.parameters()) < info.parameters
    assert tuned.classifier.weight.shape == (2, cut.classifier.weight.shape[1])  # type: ignore[index, union-attr]
    own = cut.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in tuned.state_dict().items() if not k.startswith("classifier"))
    again, _ = load_checkpoint(save_checkpoint(tmp_path / "tuned.safetensors", tuned, told))
    picture = torch.randn(1, 3, 48, 64)
    assert torch.equal(again(picture), tuned(picture))


def test_widths_that_do_not_fit_the_weights_are_refused(narrow: Model, tmp_path: Path) -> None:
    import msgspec

    cut, info = narrow
    path = save_checkpoint(tmp_path / "m.safetensors", cut, msgspec.structs.replace(info, widths={}))
    with pytest.raises(WorkbenchError, match="weights do not fit lcnet_035"):
        load_checkpoint(path)


@pytest.mark.parametrize("widths", [{"no.such.layer": 4}, {"conv_stem": 0}, {"conv_stem": 999}])
def test_widths_that_make_no_sense_are_refused(small: Model, tmp_path: Path, widths: dict[str, int]) -> None:
    import msgspec

    module, info = small
    path = save_checkpoint(tmp_path / "m.safetensors", module, msgspec.structs.replace(info, widths=widths))
    with pytest.raises(WorkbenchError, match="expected widths of 1 to"):
        load_checkpoint(path)


def test_a_plain_timm_name_brings_timms_input_and_labels() -> None:
    _, info = create_model("lcnet_035")
    assert (info.input.width, info.input.height, info.input.resize) == (224, 224, "crop")
    assert len(info.labels) == len(set(info.labels)) == 1000
    assert "goldfish" in info.labels


def test_an_unknown_architecture_is_told_close_names() -> None:
    with pytest.raises(WorkbenchError, match=r"no architecture 'resnet19'.*resnet18"):
        create_model("resnet19")


def test_labels_must_be_as_many_as_classes() -> None:
    with pytest.raises(WorkbenchError, match="2 labels and num_classes 3"):
        create_model("lcnet_035", labels=["a", "b"], num_classes=3)


def test_saving_refuses_labels_that_do_not_fit_and_other_suffixes(small: Model, tmp_path: Path) -> None:
    import msgspec

    module, info = small
    with pytest.raises(WorkbenchError, match="2 labels and 3 outputs"):
        save_checkpoint(tmp_path / "m.safetensors", module, msgspec.structs.replace(info, labels=("a", "b")))
    with pytest.raises(WorkbenchError, match="safetensors"):
        save_checkpoint(tmp_path / "m.pt", module, info)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="there is no file"):
        load_checkpoint(tmp_path / "none.safetensors")
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"not tensors")
    with pytest.raises(WorkbenchError, match="begins with b'not tens'"):
        load_checkpoint(junk)
    from safetensors.torch import save_file

    plain = tmp_path / "plain.safetensors"
    save_file({"x": torch.zeros(1)}, plain)
    with pytest.raises(WorkbenchError, match="fits none of them"):
        load_checkpoint(plain)


def test_weights_that_do_not_fit_are_refused(small: Model, tmp_path: Path) -> None:
    import msgspec

    module, info = small
    path = save_checkpoint(tmp_path / "m.safetensors", module, msgspec.structs.replace(info, arch="lcnet_050"))
    with pytest.raises(WorkbenchError, match="weights do not fit lcnet_050"):
        load_checkpoint(path)


def test_importing_the_checkpoint_module_does_not_import_timm() -> None:
    program = "import sys, edge_sdk.networks.checkpoint; assert 'timm' not in sys.modules, 'timm'"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
