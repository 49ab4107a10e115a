"""Also tests `edge_sdk.networks.find_architecture`: a file's way to a network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from weight_files import trained

from edge_sdk.errors import EdgeError, WorkbenchError
from edge_sdk.networks.checkpoint import create_model, load_checkpoint, save_checkpoint
from edge_sdk.networks.foreign import import_weights
from edge_sdk.networks.macs import count_macs
from edge_sdk.networks.timm_library import import_timm
from edge_sdk.networks.timm_networks import make_network

ARCH = "lcnet_035"
PICTURE = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return trained(make_network(ARCH, num_classes=3))


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_a_plain_state_dict_is_known_by_its_tensors_alone(network: torch.nn.Module, tmp_path: Path) -> None:
    for path in (saved(network.state_dict(), tmp_path / "w.pth"), tmp_path / "w.safetensors"):
        if not path.exists():
            save_file(network.state_dict(), path)
        found = import_weights(path, size=(64, 48))
        assert (found.info.arch, found.info.labels, found.has_names) == (ARCH, ("0", "1", "2"), False)
        assert (found.info.input.width, found.info.input.height) == (64, 48)
        assert found.info.macs > 0 and found.info.parameters > 0 and len(found.info.version) == 12
        assert torch.equal(found.module(PICTURE), network(PICTURE))
        assert any(f"fit {ARCH} alone" in note for note in found.notes)


def test_one_seam_takes_such_files_everywhere(network: torch.nn.Module, tmp_path: Path) -> None:
    path = saved({"state_dict": {f"module.{k}": v.half() for k, v in network.state_dict().items()}}, tmp_path / "w.pth")
    for name in (str(path), f"{ARCH}={path}"):
        module, info = create_model(name)
        assert info.arch == ARCH and float((module(PICTURE) - network(PICTURE)).detach().abs().max()) < 0.05
    tuned, info = create_model(str(path), labels=["cat", "dog"])  # as `edge-sdk train` starts from them
    assert info.labels == ("cat", "dog") and tuned(PICTURE).shape == (2, 2)
    _, told = load_checkpoint(save_checkpoint(tmp_path / "own.safetensors", tuned, info))
    assert told == info or told.labels == info.labels
    with pytest.raises(WorkbenchError, match="is a lcnet_035; expected lcnet_035 or no architecture; got resnet18"):
        create_model(f"resnet18={save_checkpoint(tmp_path / 'x.safetensors', *create_model(str(path)))}")


def test_the_size_that_is_given_is_the_one_that_is_told(
    network: torch.nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(network.state_dict(), tmp_path / "w.pth")
    module, info = create_model(str(path), size=(64, 48))
    assert (info.input.width, info.input.height, info.macs) == (64, 48, count_macs(module, 64, 48))
    assert "64x48 pixels as given" in caplog.text and "224x224" not in caplog.text
    own = save_checkpoint(tmp_path / "own.safetensors", module, info)
    for name in (str(own), ARCH):
        assert create_model(name, size=(32, 48))[1].input.width == 32


@pytest.mark.parametrize(
    "beside",
    [
        {"w.labels.txt": "cat\ndog\nfox"},
        {"w.labels.json": '["cat", "dog", "fox"]'},
        {"w.labels.csv": "0,cat\n1,dog\n2,fox"},
    ],
)
def test_names_beside_the_file_are_used(beside: dict[str, str], network: torch.nn.Module, tmp_path: Path) -> None:
    for name, text in beside.items():
        (tmp_path / name).write_text(text)
    found = import_weights(saved(network.state_dict(), tmp_path / "w.pth"), size=(64, 64))
    assert found.info.labels == ("cat", "dog", "fox") and found.has_names


def test_timms_config_beside_the_file_is_used(network: torch.nn.Module, tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "architecture": ARCH,
        "label_names": ["cat", "dog", "fox"],
        "pretrained_cfg": {"input_size": [3, 96, 64], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path)
    spec = import_weights(path).info.input
    assert (spec.width, spec.height, spec.mean, spec.std) == (64, 96, (0.5,) * 3, (0.2,) * 3)
    assert import_weights(path).info.labels == ("cat", "dog", "fox")
    other = import_weights(path, mean=(0.1, 0.2, 0.3), size=(32, 32)).info.input
    assert (other.width, other.mean, other.std) == (32, (0.1, 0.2, 0.3), (0.2,) * 3)


def test_what_the_file_says_goes_before_its_tensors(tmp_path: Path) -> None:
    """Two architectures fit; the training program wrote which."""
    state = trained(make_network("tf_efficientnet_lite0", num_classes=3)).state_dict()
    path = saved({"state_dict": state}, tmp_path / "w.pth")
    with pytest.raises(WorkbenchError, match=r"fit 2 of timm's.*efficientnet_lite0.*--arch"):
        import_weights(path)
    path = saved({"state_dict": state, "arch": "tf_efficientnet_lite0"}, tmp_path / "w.pth")
    assert import_weights(path, size=(32, 32)).info.arch == "tf_efficientnet_lite0"
    named = {f"_{name}": tensor for name, tensor in state.items() if "num_batches" not in name}
    assert import_weights(saved(named, tmp_path / "w.pth"), size=(32, 32)).info.arch == "tf_efficientnet_lite0"


def test_wrong_numbers_of_classes_and_wrong_architectures_are_told(network: torch.nn.Module, tmp_path: Path) -> None:
    path = saved(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(WorkbenchError, match="has 3 classes and there are 2 labels"):
        import_weights(path, labels=("cat", "dog"))
    with pytest.raises(WorkbenchError, match=rf"does not fit lcnet_050.*It fits {ARCH}"):
        import_weights(path, arch="lcnet_050")
    with pytest.raises(WorkbenchError, match=r"knows no architecture 'lcnet_51'; close names: .*lcnet"):
        import_weights(path, arch="lcnet_51")
    part = {name: tensor for name, tensor in network.state_dict().items() if "blocks.3" not in name}
    with pytest.raises(WorkbenchError, match=rf"fits none of them.*Nearest: .*{ARCH} \(\d\d% of its tensors\)"):
        import_weights(saved(part, tmp_path / "w.pth"))


def test_one_output_becomes_two_that_say_the_same(tmp_path: Path) -> None:
    binary = trained(make_network(ARCH, num_classes=1))
    found = import_weights(saved(binary.state_dict(), tmp_path / "w.pth"), labels=("empty", "animal"), size=(64, 64))
    chance = found.module(PICTURE).softmax(1)[:, 1]
    assert torch.allclose(chance, binary(PICTURE).sigmoid()[:, 0], atol=1e-6)
    assert any("sigmoid" in note for note in found.notes)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_weights_compute_the_same_in_timms_network(suffix: str, tmp_path: Path) -> None:
    """The names differ, and so does the epsilon, of which weights say nothing."""
    import_timm()
    from torchvision import models

    theirs = trained(models.mobilenet_v3_small(num_classes=4))
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save({"model": theirs.state_dict()}, path)
    else:
        save_file(theirs.state_dict(), path)
    found = import_weights(path, size=(64, 64))
    assert (found.info.arch, found.info.options, found.fitted.how) == (
        "mobilenetv3_small_100",
        {"bn_eps": 1e-3},
        "order",
    )
    assert torch.allclose(found.module(PICTURE), theirs(PICTURE), atol=1e-4)
    assert found.info.input.mean == (0.485, 0.456, 0.406)
    again, _ = load_checkpoint(save_checkpoint(tmp_path / "own.safetensors", found.module, found.info))
    assert torch.equal(again(PICTURE), found.module(PICTURE))
    with pytest.raises(EdgeError, match=r"computes something else.*padding"):
        import_weights(path, arch="tf_mobilenetv3_small_100", size=(64, 64))


def test_an_architecture_whose_names_torchvision_has_too_is_taken_as_told(tmp_path: Path) -> None:
    path = saved(trained(make_network("resnetblur18", num_classes=3)).state_dict(), tmp_path / "w.pth")
    assert import_weights(path, size=(64, 64)).info.arch == "resnet18"  # torchvision's, where nothing is told
    assert import_weights(path, arch="resnetblur18", size=(64, 64)).info.arch == "resnetblur18"


def test_a_transformer_of_another_size_is_made_in_its_size(tmp_path: Path) -> None:
    from edge_sdk.model.bundle import InputSpec

    spec = InputSpec(192, 192, (0.5,) * 3, (0.5,) * 3)
    network = trained(make_network("vit_tiny_patch16_224", num_classes=3, input=spec))
    found = import_weights(saved(network.state_dict(), tmp_path / "w.pth"), arch="vit_tiny_patch16_224")
    assert (found.info.input.width, found.info.input.height) == (192, 192)


def _lacks(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.pop(key)


@pytest.mark.parametrize(
    "spoil",
    [
        *map(_lacks, ("classifier.bias", "classifier.weight", "conv_stem.weight", "bn1.running_mean", "bn1.weight")),
        lambda state: state.update({"classifier.bias": torch.zeros(7)}),
        lambda state: state.update({"classifier.weight": torch.zeros(3, 5)}),
        lambda state: state.update({"extra.weight": torch.zeros(3, 5)}),
        lambda state: state.update({"bn1.weight": torch.zeros(())}),
    ],
)
@pytest.mark.parametrize("arch", ["", ARCH])
def test_a_file_that_lacks_one_tensor_or_has_another_is_refused_in_words(
    arch: str, spoil: Callable[[dict[str, Any]], object], network: torch.nn.Module, tmp_path: Path
) -> None:
    state = dict(network.state_dict())
    spoil(state)
    with pytest.raises(WorkbenchError, match=r"w\.pth"):
        import_weights(saved(state, tmp_path / "w.pth"), arch=arch)
