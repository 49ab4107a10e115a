from pathlib import Path

import pytest

from edge_sdk.networks.model_name import files_of, is_file_name, join_name, name_with, plain_name, split_name


@pytest.mark.parametrize("name", ["a.pth", "a.PTH", "x/a", "a.safetensors", "a.pth.tar", "resnet18=a.pt", "r=dir/a"])
def test_files(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize("name", ["resnet18", "lcnet_050.ra2_in1k", "trailcam", "resnet18=resnet34"])
def test_others(name: str) -> None:
    assert not is_file_name(name)


def test_an_architecture_before_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_name("resnet18=a.pth") == ("resnet18", "a.pth")
    assert split_name(join_name("resnet18", "/x/a=b.pth")) == ("resnet18", "/x/a=b.pth")
    assert split_name("/x/lr=0.1/a.pth") == ("", "/x/lr=0.1/a.pth")
    monkeypatch.chdir(tmp_path)
    Path("lr=0.1.pth").touch()
    assert split_name("lr=0.1.pth") == ("", "lr=0.1.pth")  # a file of this name goes first


def test_an_architecture_told_beside_it() -> None:
    assert name_with(None, "resnet18") == "resnet18"
    assert name_with("resnet18", "a.pth") == "resnet18=a.pth" == name_with("resnet18", "resnet18=a.pth")
    with pytest.raises(ValueError, match="expected one architecture"):
        name_with("resnet18", "resnet34=a.pth")
    with pytest.raises(ValueError, match="file of weights"):
        name_with("resnet18", "trailcam")


def test_names_for_people() -> None:
    assert plain_name("resnet18=x/net.pth") == "net" and plain_name("mine/model.safetensors") == "mine"
    assert plain_name("lcnet_050.ra2_in1k") == "lcnet_050.ra2_in1k"


def test_the_files_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").touch()
    assert files_of(str(tmp_path / "bundle")) == [tmp_path / "bundle" / "manifest.json"]
    beside = [tmp_path / "a.labels.txt", tmp_path / "config.json"]
    assert set(beside) < set(files_of(f"resnet18={tmp_path}/a.pth"))
    assert files_of("resnet18") == []
