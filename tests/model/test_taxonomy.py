"""Rollup along a taxonomy, against a search through all nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_sdk.errors import BundleError
from edge_sdk.model.bundle import open_bundle, read_taxonomy, write_policy, write_taxonomy
from edge_sdk.model.policy import ExitPolicy, Policy, Preferences
from edge_sdk.model.taxonomy import NO_RANK, ROOT, Naming, Node, Rollup, RollupRule, Taxonomy
from edge_sdk.testing import write_fake_bundle
from edge_sdk.types import Prediction, Reason

TREE = Taxonomy(
    classes={
        "red fox": ("vulpes", "canidae", "mammal"),
        "arctic fox": ("vulpes", "canidae", "mammal"),
        "wolf": ("canis", "canidae", "mammal"),
        "roe deer": ("cervidae", "mammal"),
        "jay": ("bird",),
    },
    nodes={
        "vulpes": Node("genus", "Vulpes"),
        "canidae": Node("family", "Canidae"),
        "mammal": Node("class", "Mammalia"),
    },
)
LABELS = ("red fox", "arctic fox", "wolf", "roe deer", "jay", "empty")


def says(*chances: float) -> Prediction:
    return Prediction(LABELS, np.array(chances, np.float32))


@pytest.mark.parametrize(
    ("chances", "label", "level", "confidence"),
    [
        ((0.9, 0.02, 0.02, 0.02, 0.02, 0.02), "red fox", "", 0.9),
        ((0.5, 0.4, 0.02, 0.02, 0.03, 0.03), "vulpes", "genus", 0.9),
        ((0.3, 0.3, 0.3, 0.02, 0.04, 0.04), "canidae", "family", 0.9),
        ((0.2, 0.2, 0.2, 0.3, 0.05, 0.05), "mammal", "class", 0.9),
        ((0.2, 0.1, 0.1, 0.1, 0.4, 0.1), "unknown", ROOT, 0.4),
        ((0.02, 0.02, 0.02, 0.02, 0.02, 0.9), "empty", "", 0.9),
    ],
)
def test_the_answer_is_as_fine_as_it_is_sure(
    chances: tuple[float, ...], label: str, level: str, confidence: float
) -> None:
    named = Naming(TREE, RollupRule(0.85)).of(says(*chances))
    assert (named.label, named.level) == (label, level)
    assert named.confidence == pytest.approx(confidence, abs=1e-6)


def test_without_a_rule_or_a_taxonomy_the_answer_is_the_class() -> None:
    said = says(0.5, 0.4, 0.02, 0.02, 0.03, 0.03)
    for naming in (Naming(), Naming(TREE), Naming(None, RollupRule())):
        assert (naming.of(said).label, naming.of(said).level) == ("red fox", "")
        assert naming.of_cloud(LABELS, said.probabilities.tolist()) is None
        assert not naming.settles(said)


def test_the_clouds_answer_has_a_threshold_and_labels_of_its_own() -> None:
    naming = Naming(TREE, RollupRule(0.99, cloud=0.8))
    labels = ("wolf", "badger", "red fox")
    named = naming.of_cloud(labels, (0.45, 0.05, 0.5))
    assert named is not None
    assert (named.label, named.level) == ("canidae", "family")
    assert naming.of_cloud(labels, (0.5, 0.5)) is None


def test_levels_of_what_has_no_rank() -> None:
    assert [TREE.level(name) for name in ("jay", "bird", "vulpes", "unknown")] == ["", NO_RANK, "genus", ROOT]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"classes": {}}', "nodes above them; got none"),
        ('{"classes": {"fox": ["canidae", "canidae"]}}', "expected one node above 'canidae'"),
        ('{"classes": {"fox": ["canidae", "mammal"], "wolf": ["canidae"]}}', "got 'mammal' and 'unknown'"),
        ('{"classes": {"fox": ["wolf"], "wolf": ["canidae"]}}', "not of a class or the root; got 'wolf'"),
        ('{"classes": {"fox": ["unknown"]}}', "got 'unknown'"),
        ('{"classes": {"fox": ["canidae"]}, "nodes": {"canidea": {}}}', "got canidea"),
        ('{"classes": {"fox": ["canidae"]}, "min_reader": 99}', "needs a newer edge_sdk"),
    ],
)
def test_a_taxonomy_that_is_no_tree_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "taxonomy.json"
    path.write_text(text)
    with pytest.raises(BundleError, match=message):
        read_taxonomy(path)


def test_a_bundle_carries_its_taxonomy(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "bundle", ("red fox", "jay"))
    write_policy(bundle.path, Policy(rollup=RollupRule()))
    with pytest.raises(BundleError, match="the file is missing"):
        open_bundle(bundle.path)
    write_taxonomy(bundle.path, TREE)
    assert open_bundle(bundle.path).taxonomy == TREE
    assert open_bundle(bundle.path).names[:5] == ("red fox", "jay", "vulpes", "canidae", "mammal")
    write_policy(bundle.path, Policy())
    assert open_bundle(bundle.path).names == ("red fox", "jay")
    other = write_fake_bundle(tmp_path / "other", ("bird", "jay"))
    write_taxonomy(other.path, TREE)
    with pytest.raises(BundleError, match="no class of the bundle; got bird"):
        open_bundle(other.path)


def test_a_sure_group_exits_where_the_policy_says_so() -> None:
    said = says(0.5, 0.4, 0.02, 0.02, 0.03, 0.03)

    def reason(rule: RollupRule, threshold: float | None = None, **wants: float) -> Reason:
        naming = Naming(TREE, rule)
        policy = ExitPolicy(Policy(), threshold, Preferences(**wants), LABELS, naming=naming)  # type: ignore[arg-type]
        return policy.decide(said).reason

    assert reason(RollupRule(0.85)) is Reason.UNSURE
    assert reason(RollupRule(0.85, exit=True)) is Reason.GROUP
    assert reason(RollupRule(0.99, exit=True)) is Reason.UNSURE  # the root is no group
    assert reason(RollupRule(0.85, exit=True), threshold=1.01) is Reason.UNSURE
    assert reason(RollupRule(0.85, exit=True), floor=0.6) is Reason.UNSURE


@st.composite
def trees(draw: st.DrawFn) -> tuple[Taxonomy, tuple[str, ...]]:
    """A random tree of up to four levels over up to seven classes, some without a node."""
    classes = draw(st.integers(2, 7))
    parents: dict[str, str] = {}
    chains: dict[str, tuple[str, ...]] = {}
    for number in range(classes):
        chain: list[str] = []
        name = f"a{draw(st.integers(0, 3))}" if draw(st.booleans()) or not chains else ""
        while name:
            chain.append(name)
            if name not in parents:
                deeper = chr(ord(name[0]) + 1)
                parents[name] = f"{deeper}{draw(st.integers(0, 1))}" if deeper < "d" and draw(st.booleans()) else ""
            name = parents[name]
        chains[f"class {number}"] = tuple(chain)
    return Taxonomy(classes=chains), tuple(f"class {number}" for number in range(classes))


def by_search(tree: Taxonomy, labels: tuple[str, ...], chances: NDArray[np.float32], threshold: float) -> set[str]:
    """All names of the finest answers that are sure enough: of the fewest classes, the deepest of these."""
    found: list[tuple[int, int, str]] = []
    for label, chance in zip(labels, chances.tolist(), strict=True):
        if np.float32(chance) >= threshold:
            found.append((1, -9, label))
    for name in {name for chain in tree.classes.values() for name in chain}:
        inside = [number for number, label in enumerate(labels) if name in tree.classes[label]]
        depth = next(len(chain) - chain.index(name) for chain in tree.classes.values() if name in chain)
        if sum(chances[inside].tolist()) >= threshold:
            found.append((len(inside), -depth, name))
    if not found:
        return {tree.root}
    return {name for size, depth, name in found if (size, depth) == min(found)[:2]}


@given(
    tree=trees(),
    raw=st.lists(st.integers(0, 64), min_size=7, max_size=7).filter(lambda values: sum(values[:2]) > 0),
    thresholds=st.lists(st.integers(0, 64), min_size=2, max_size=2).map(sorted),
)
def test_it_is_the_finest_node_and_a_higher_threshold_never_gives_a_finer_one(
    tree: tuple[Taxonomy, tuple[str, ...]], raw: list[int], thresholds: list[int]
) -> None:
    taxonomy, labels = tree
    rollup = Rollup(taxonomy, labels)
    # Sums of 64ths are exact, so that no threshold is missed by rounding.
    chances = (np.array(raw[: len(labels)]) // len(labels) / 64).astype(np.float32)
    sizes = []
    for threshold in (one / 64 for one in thresholds):
        number = int(rollup.chosen(chances[None], threshold)[0])
        name = rollup.names[number]
        assert name in by_search(taxonomy, labels, chances, threshold)
        inside = rollup.holds[number]
        expected = chances.max() if name == taxonomy.root else chances[inside].sum()
        assert rollup.named(chances, threshold).confidence == pytest.approx(float(expected))
        if name != taxonomy.root:
            assert chances[inside].sum() >= threshold
        sizes.append(int(inside.sum()))
    assert sizes[0] <= sizes[1]


@given(tree=trees(), seed=st.integers(0, 1000), threshold=st.floats(0, 1))
def test_many_at_once_are_named_as_one_by_one(
    tree: tuple[Taxonomy, tuple[str, ...]], seed: int, threshold: float
) -> None:
    taxonomy, labels = tree
    rollup = Rollup(taxonomy, labels)
    chances = np.random.default_rng(seed).dirichlet(np.full(len(labels), 0.5), 20).astype(np.float32)
    together = rollup.chosen(chances, threshold)
    one_by_one = [int(rollup.chosen(row[None], threshold)[0]) for row in chances]
    assert together.tolist() == one_by_one
