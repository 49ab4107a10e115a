"""Groups as answers on the device: in the answer, the journal, and what the cloud says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk import EdgeClassifier, Frame
from edge_sdk.link.transport import Reply, ServerInfo
from edge_sdk.model.bundle import Bundle, open_bundle, write_policy, write_taxonomy
from edge_sdk.model.policy import Policy
from edge_sdk.model.taxonomy import ROOT, Node, RollupRule, Taxonomy
from edge_sdk.store.spool import SpoolItem
from edge_sdk.testing import FakeRuntime, FakeTransport, write_fake_bundle
from edge_sdk.types import Image, Origin, Reason

LABELS = ("red fox", "arctic fox", "jay")
TREE = Taxonomy(classes={"red fox": ("vulpes",), "arctic fox": ("vulpes",)}, nodes={"vulpes": Node("genus", "Vulpes")})


def some_fox(pixels: Image) -> tuple[float, ...]:
    return tuple(np.log((0.5, 0.4, 0.1)).tolist())


def bundle_in(folder: Path, rule: RollupRule) -> Bundle:
    written = write_fake_bundle(folder / "bundle", LABELS, logits=some_fox)
    write_taxonomy(written.path, TREE)
    write_policy(written.path, Policy(rollup=rule))
    return open_bundle(written.path)


def picture() -> Frame:
    return Frame(np.zeros((32, 32, 3), np.uint8))


@pytest.mark.parametrize("exits", [False, True])
def test_a_group_is_the_answer_and_may_let_the_frame_exit(exits: bool, tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path, RollupRule(0.85, exit=exits))
    with EdgeClassifier(bundle, state_dir=tmp_path / "state", runtime=FakeRuntime(some_fox)) as edge:
        said = edge.classify(picture())
        assert (said.label, said.level, said.final) == ("vulpes", "genus", exits)
        assert said.reason is (Reason.GROUP if exits else Reason.UNSURE)
        assert said.confidence == pytest.approx(0.9)
        entry = edge.journal.entry(said.frame_id)
        assert entry is not None
        assert (entry.answer, entry.likeliest) == (said, "red fox")


def test_nothing_sure_enough_is_the_root(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path, RollupRule(0.95, exit=True))
    with EdgeClassifier(bundle, state_dir=tmp_path / "state", runtime=FakeRuntime(some_fox)) as edge:
        said = edge.classify(picture())
        assert (said.label, said.level, said.final) == ("unknown", ROOT, False)
        assert said.confidence == pytest.approx(0.5)


def test_the_level_survives_the_loss_of_the_table(tmp_path: Path) -> None:
    bundle, runtime = bundle_in(tmp_path, RollupRule(0.85)), FakeRuntime(some_fox)
    with EdgeClassifier(bundle, state_dir=tmp_path / "state", runtime=runtime) as edge:
        said = edge.classify(picture())
    for file in (tmp_path / "state").glob("state.db*"):
        file.unlink()
    with EdgeClassifier(bundle, state_dir=tmp_path / "state", runtime=runtime) as edge:
        assert edge.journal.get(said.frame_id) == said


@pytest.mark.parametrize(("cloud", "label", "level"), [(0.8, "vulpes", "genus"), (None, "arctic fox", "")])
def test_the_clouds_answer_is_named_by_its_own_threshold(
    cloud: float | None, label: str, level: str, tmp_path: Path
) -> None:
    def script(item: SpoolItem, server: ServerInfo) -> Reply:
        return Reply(item.frame_id, "arctic fox", 0.6, (0.3, 0.6, 0.1), 1, 1, server)

    with EdgeClassifier(
        bundle_in(tmp_path, RollupRule(0.95, cloud=cloud)),
        cloud="127.0.0.1:1",
        state_dir=tmp_path / "state",
        runtime=FakeRuntime(some_fox),
        transport=FakeTransport(LABELS, script),
    ) as edge:
        said = edge.classify(picture(), wait_s=30)
        assert (said.origin, said.label, said.level) == (Origin.CLOUD, label, level)
        entry = edge.journal.entry(said.frame_id)
        assert entry is not None
        assert entry.cloud == said
        assert entry.device.level == ROOT
