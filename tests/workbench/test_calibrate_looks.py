"""Rules by what was looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from record_parts import pair

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.big_reference import BigReference
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.policy import ExitPolicy, LookRule, Policy
from edge_sdk.testing import write_fake_bundle
from edge_sdk.types import Prediction, View
from edge_sdk.workbench.calibrate import calibrate_records
from edge_sdk.workbench.calibrate_looks import calibrate_looks
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.cascade.exits import exits_of
from edge_sdk.workbench.draw import draw_calibration
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.records_file import load_records, save_records
from edge_sdk.workbench.write_calibration import write_looks


def two_kinds(near: np.ndarray | None = None) -> tuple[Records, Records, np.ndarray]:
    little, big = pair()
    if near is None:
        near = np.arange(len(little)) % 3 > 0
    return replace(little, near=near), big, near


def test_each_kind_gets_the_rule_that_its_own_frames_alone_give(tmp_path: Path) -> None:
    little, big, near = two_kinds()
    rule = Rule(drop=0.0)
    found = calibrate_looks(little, big, rule)
    alone = [calibrate_records(little.part(rows), big.part(rows), rule).policy for rows in (~near, near)]
    assert found.policy.of_look(False) == alone[0].of_look(False) and not found.note
    assert found.policy.of_look(True) == alone[1].of_look(True)
    assert [name for name, _ in found.parts] == ["frames seen whole", "frames with a region"]
    assert [one.pictures for _, one in found.parts] == [int((~near).sum()), int(near.sum())]
    assert found.sentences()[1].startswith("Frames with a region: At ")
    draw_calibration(tmp_path / "curve.png", found.parts, "two rules")
    assert (tmp_path / "curve.png").stat().st_size > 10_000


@pytest.mark.parametrize("count", [0, 50])
def test_too_few_of_a_kind_leave_one_rule_for_all(count: int) -> None:
    little, big, near = two_kinds()
    few = np.arange(len(near)) < count
    for rows in (few, ~few):
        found = calibrate_looks(replace(little, near=rows), big, Rule(drop=0.0))
        assert found.policy == calibrate_records(little, big, Rule(drop=0.0)).policy
        assert found.regions is None and found.parts[0][0] == ""
        assert ("get none of their own: expected at least 100 of them; got 50" in found.note) == bool(count)


def test_a_kind_that_cannot_keep_the_promise_leaves_one_rule_for_all() -> None:
    little, big, near = two_kinds()
    few = np.arange(len(near)) < 150
    found = calibrate_looks(replace(little, near=few), big, Rule(eps=0.02))
    assert found.regions is None and "frames with a region get none of their own: these " in found.note


def test_the_rule_for_whole_frames_may_stay(tmp_path: Path) -> None:
    little, big, near = two_kinds()
    info = msgspec.structs.replace(big.info, fingerprint="0123456789abcdef")
    big = replace(big, info=info)
    bundle = write_fake_bundle(tmp_path / "bundle", little.info.labels, logits=lambda pixels: [0.0, 1.0, 2.0])
    kept = bundle.policy
    with pytest.raises(WorkbenchError, match="calibrate that first"):
        calibrate_looks(little, big, Rule(drop=0.0), kept=kept)
    first = calibrate_looks(little.part(~near), big.part(~near), Rule(eps=0.05))
    write_looks(bundle.path, first, big=info.reference, rule=Rule(eps=0.05))
    whole = open_bundle(bundle.path).policy
    second = calibrate_looks(little, big, Rule(drop=0.0), kept=whole)
    write_looks(bundle.path, second, big=info.reference, rule=Rule(drop=0.0), view=View.BOTH)
    both = open_bundle(bundle.path)
    assert both.manifest.view == "both" and second.frames is None
    assert msgspec.structs.replace(both.policy.of_look(False), calibration={}) == msgspec.structs.replace(
        whole, calibration={}
    )
    assert both.policy.regions == LookRule(
        **{name: getattr(second.regions.policy, name) for name in LookRule.__struct_fields__}  # type: ignore[union-attr]
    )
    facts = both.policy.calibration
    assert (facts["rule"], facts["region_rule"]) == ("eps", "drop")
    assert facts["pictures"] == int((~near).sum()) and facts["region_pictures"] == int(near.sum())
    assert facts["exits_as_big"] == whole.calibration["exits_as_big"] and "region_exits_as_big" in facts
    other = replace(big, info=msgspec.structs.replace(info, fingerprint="another"))
    with pytest.raises(WorkbenchError, match="calibrate without --regions-only"):
        calibrate_looks(little, other, Rule(drop=0.0), kept=whole)
    with pytest.raises(WorkbenchError, match="expected frames of which a region was looked at"):
        calibrate_looks(replace(little, near=~near & near), big, Rule(drop=0.0), kept=whole)
    assert BigReference(name="x") != info.reference


def test_recorded_frames_exit_and_are_as_sure_as_on_the_device() -> None:
    little, big, near = two_kinds()
    policy = calibrate_looks(little, big, Rule(drop=0.0)).policy
    chances = little.calibrated_by(policy)
    exits = exits_of(policy, little, chances)
    for row in range(0, len(little), 7):
        rule = policy.of_look(bool(near[row]))
        np.testing.assert_array_equal(chances[row], little.part(np.array([row])).calibrated(rule.temperature)[0])
        assert exits[row] == ExitPolicy(rule).decide(Prediction(little.info.labels, chances[row])).exits
    assert 0 < exits.mean() < 1
    one = msgspec.structs.replace(policy, regions=None)
    np.testing.assert_array_equal(little.calibrated_by(one), little.calibrated(one.temperature))


def test_records_say_which_frames_had_a_region(tmp_path: Path) -> None:
    little, _, near = two_kinds()
    assert (load_records(save_records(tmp_path / "a.npz", little)).with_region == near).all()
    assert not replace(little, near=None).with_region.any()
    looks = np.stack([little.probabilities, little.probabilities], axis=1)  # type: ignore[list-item]
    looks[near, 0] = looks[near, 0][:, ::-1]
    differ = (looks[:, 0] != looks[:, 1]).any(axis=1)
    assert (replace(little, near=None, looks=looks).with_region == differ).all() and differ.any()
    assert Policy().regions is None


def at_rest(count: int) -> tuple[Records, Records, np.ndarray]:
    """Records of a gate: a third has no region, and of these `count` belong to no visit."""
    little, big, near = two_kinds()
    rest = ~near & (np.cumsum(~near) <= count)
    return replace(little, near=near, times=np.where(rest, np.nan, np.arange(len(near), dtype=np.float64))), big, rest


def test_frames_in_which_nothing_moves_get_a_rule_beside_the_one_that_stays(tmp_path: Path) -> None:
    little, big, rest = at_rest(10_000)
    kept = msgspec.structs.replace(
        calibrate_records(little, big, Rule(drop=0.0)).policy, temperature=1.7, ensemble=0.2, big=big.info.reference
    )
    found = calibrate_looks(little, big, Rule(drop=0.0), kept=kept)
    alone = calibrate_records(
        little.part(rest), big.part(rest), Rule(drop=0.0), allow_ensemble=False, temperature=1.7
    ).policy
    still = found.policy.of_look(near=False, still=True)
    assert (still.threshold, still.gate, still.gains) == (alone.threshold, alone.gate, alone.gains)
    # The model and the last word know one rule of whole frames.
    assert (still.temperature, still.ensemble) == (1.7, 0.2)
    whole = found.policy.of_look(False)
    assert (whole.threshold, whole.gate, whole.temperature) == (kept.threshold, kept.gate, kept.temperature)
    assert found.parts[-1][0] == "frames in which nothing moves" and found.parts[-1][1].pictures == int(rest.sum())
    assert calibrate_looks(replace(little, times=None), big, Rule(drop=0.0), kept=kept).policy.still is None


def test_frames_in_which_nothing_moves_may_have_a_promise_of_their_own() -> None:
    little, big, rest = at_rest(10_000)
    kept = msgspec.structs.replace(calibrate_records(little, big, Rule(drop=0.0)).policy, big=big.info.reference)
    given = calibrate_looks(little, big, Rule(drop=0.0), kept=kept, still_rule=Rule(offload_ratio=0.1))
    usual = calibrate_looks(little, big, Rule(drop=0.0), kept=kept)
    assert given.still is not None and given.still.point.exit_ratio == pytest.approx(0.9, abs=0.05)
    assert given.policy.regions == usual.policy.regions and given.policy.still != usual.policy.still
    assert rest.any()


def test_too_few_frames_in_which_nothing_moves_get_no_rule() -> None:
    little, big, _ = at_rest(50)
    kept = msgspec.structs.replace(calibrate_records(little, big, Rule(drop=0.0)).policy, big=big.info.reference)
    found = calibrate_looks(little, big, Rule(drop=0.0), kept=kept)
    assert found.policy.still is None
    assert found.note == "frames in which nothing moves get no rule of their own: expected at least 100 of them; got 50"
