from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.model.conversion_store import About, ConversionStore, key_of
from edge_sdk.model.bundle import InputSpec

pytest.importorskip("openvino", reason='no openvino: pip install ".[openvino]" brings it')

ABOUT = About(
    arch="resnet10t",
    labels=("fox", "deer"),
    input=InputSpec(width=32, height=24, mean=(0.5,) * 3, std=(0.5,) * 3, resize="crop"),
    macs=10,
    parameters=20,
    fingerprint="abc",
)


def write(network: Path) -> None:
    network.write_text("<net/>")
    network.with_suffix(".bin").write_bytes(b"weights")


def test_what_is_kept_is_found_and_nothing_else(tmp_path: Path) -> None:
    store = ConversionStore(tmp_path)
    assert store.find("one") is None
    network, about = store.keep("one", ABOUT, write)
    found = store.find("one")
    assert found == (network, about)
    assert (
        network.read_text() == "<net/>"
        and about.labels == ABOUT.labels
        and set(about.sha256)
        == {
            "network.xml",
            "network.bin",
        }
    )
    assert store.find("two") is None
    assert [path.name for path in tmp_path.iterdir()] == ["one"], "nothing half made is left"


@pytest.mark.parametrize("name", ["network.xml", "network.bin", "about.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_damaged_conversion_counts_as_none_and_is_made_anew(tmp_path: Path, name: str, damage: str) -> None:
    store = ConversionStore(tmp_path)
    store.keep("one", ABOUT, write)
    path = tmp_path / "one" / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + (b"" if damage == "cut" else b"\xff"))
    assert store.find("one") is None
    store.keep("one", ABOUT, write)
    assert store.find("one") is not None


def test_a_conversion_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    store = ConversionStore(tmp_path)
    store.keep("one", ABOUT, write)

    def fail(network: Path) -> None:
        network.write_text("half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        store.keep("one", ABOUT, fail)
    assert store.find("one") is not None and len(list(tmp_path.iterdir())) == 1


def test_the_key_follows_content_and_architecture_and_not_the_path(tmp_path: Path) -> None:
    one, other = tmp_path / "a.pth", tmp_path / "b.pth"
    one.write_bytes(b"weights")
    other.write_bytes(b"weights")
    assert key_of(str(one)) == key_of(str(other))
    assert key_of(f"resnet18={one}") != key_of(str(one))
    assert key_of(f"resnet18={one}") != key_of(f"resnet34={one}")
    other.write_bytes(b"weights!")
    assert key_of(str(one)) != key_of(str(other))
    assert key_of("resnet18.a1_in1k") != key_of("resnet18.a2_in1k")
