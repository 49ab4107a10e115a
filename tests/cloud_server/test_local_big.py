"""Which big model a server on this machine serves for a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from tiny_network import SPEC, write_tiny_bundle

import cloud_server.local_big as local_big_module
from cloud_server.local import ServerStartError
from cloud_server.local_big import local_big, model_of
from edge_sdk.errors import ConfigError
from edge_sdk.model.big_reference import BigReference, fingerprint_of
from edge_sdk.model.bundle import Bundle, open_bundle, write_policy
from edge_sdk.networks.checkpoint import create_model, save_checkpoint


def bundle_that_names(folder: Path, named: BigReference | None) -> Bundle:
    bundle = write_tiny_bundle(folder)
    write_policy(bundle.path, msgspec.structs.replace(bundle.policy, big=named))
    return open_bundle(bundle.path)


def write_big(path: Path, labels: tuple[str, ...]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    module, info = create_model("lcnet_035", labels=labels, input=SPEC)
    return save_checkpoint(path, module, info)


def reference(path: Path, **more: object) -> BigReference:
    return BigReference(name="big", model=str(path), fingerprint=fingerprint_of(path), **more)  # type: ignore[arg-type]


def test_the_shipped_bundle_and_older_ones_of_its_labels_get_the_shipped_model(tmp_path: Path) -> None:
    assert model_of(open_bundle("trailcam")) == "trailcam"
    shutil.copytree(open_bundle("trailcam").path, tmp_path / "older")
    (tmp_path / "older" / "policy.json").unlink()
    assert model_of(open_bundle(tmp_path / "older")) == "trailcam"


def test_the_file_is_found_where_it_was_in_the_bundle_beside_it_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = write_big(tmp_path / "w" / "big.safetensors", ("a", "b", "c"))
    bundle = bundle_that_names(tmp_path / "b" / "bundle", reference(old))
    assert model_of(bundle) == str(old)
    here = tmp_path / "cwd"
    here.mkdir()
    monkeypatch.chdir(here)
    for place in (bundle.path, bundle.path.parent, here):
        moved = place / old.name
        content = old.read_bytes()
        old.unlink()
        moved.write_bytes(content)
        assert model_of(bundle) == str(moved)
        old = moved
    assert not caplog.text
    old.write_bytes(b"trained again")
    assert model_of(bundle) == str(old)
    assert "has changed since" in caplog.text and "calibrate again" in caplog.text


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (None, "names none"),
        (BigReference(name="resnet"), "calls it 'resnet' and does not say where it is"),
        (BigReference(name="x", model="/no/such/x.safetensors"), "there is no such file here, nor a x.safetensors"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, named: BigReference | None, told: str) -> None:
    with pytest.raises(ConfigError, match="--big MODEL names another") as error:
        model_of(bundle_that_names(tmp_path / "bundle", named))
    assert told in str(error.value)


def test_a_timm_name_is_left_to_timm(tmp_path: Path) -> None:
    named = BigReference(name="resnet18", model="resnet18.a1_in1k")
    assert model_of(bundle_that_names(tmp_path / "bundle", named)) == "resnet18.a1_in1k"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_big_module, "find_spec", lambda name: None)
    with (
        pytest.raises(ConfigError, match=r"needs torch, .* pip install '.\[cloud\]' in the checkout; or --cloud HOST"),
        local_big(open_bundle("trailcam")),
    ):
        pass


def test_its_label_map_goes_to_the_server_and_other_labels_end_the_start(tmp_path: Path) -> None:
    big = write_big(tmp_path / "big.safetensors", ("x1", "x2", "b", "c"))
    labels = write_tiny_bundle(tmp_path / "tiny").manifest.labels
    mapping = {"x1": labels[0], "x2": labels[0], "b": labels[1], "c": labels[2]}
    bundle = bundle_that_names(tmp_path / "bundle", reference(big, labels=labels, label_map=mapping))
    with local_big(bundle) as address:
        assert address.startswith("127.0.0.1:")
    with pytest.raises(ConfigError, match=r"it lacks .*'x1', 'x2'.*--label-map FILE"), local_big(bundle, str(big)):
        pass


def test_a_big_model_that_cannot_be_served_is_told_with_the_ways_out(tmp_path: Path) -> None:
    bundle = open_bundle("trailcam")
    with (
        pytest.raises(ServerStartError, match="--cloud none keeps to the device"),
        local_big(bundle, str(tmp_path / "none.safetensors")),
    ):
        pass
