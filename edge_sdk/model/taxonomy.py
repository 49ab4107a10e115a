"""Rollup along a taxonomy (`taxonomy.json`): where no class is sure enough, the group above it may be.

The answer is the deepest node whose probability, the sum over its classes, is at or above a threshold: the class, its
genus, its family, and so on, and the root where no node is that sure (Deng, Krause, Berg, Fei-Fei, "Hedging your bets:
optimizing accuracy-specificity trade-offs in large scale visual recognition", CVPR 2012, section 3: the most specific
answer at a fixed accuracy). A higher threshold never gives a deeper node. Calibration chooses the threshold, so that a
promised share of the answers is right; an answer is right where the true class is at or below its node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edge_sdk.types import Prediction

TAXONOMY_FILE = "taxonomy.json"
NO_RANK = "group"
"""Level of a node of which the taxonomy gives no rank."""
ROOT = "root"
"""Level of the answer where no node is sure enough."""
_MOST_KNOWN = 16


class Node(msgspec.Struct, frozen=True):
    """What is known of a node.

    Attributes:
        rank: such as "genus" or "family"; any word.
        scientific_name: for exports; "": none.
    """

    rank: str = NO_RANK
    scientific_name: str = ""


class Taxonomy(msgspec.Struct, frozen=True, kw_only=True):
    """Which groups the classes belong to (`taxonomy.json`).

    Attributes:
        schema: version of this format that wrote it; for people.
        min_reader: the version of this format that a reader must know (`edge_sdk.model.bundle.READER`).
        classes: by label, the names of the nodes above it, the nearest first: red fox -> vulpes, canidae, mammal.
            Labels that the bundle does not have are passed over, labels that are not named have no node above them.
        nodes: what is known of nodes, by name; may be absent.
        root: the answer where no node is sure enough.
    """

    schema: int = 1
    min_reader: int = 1
    classes: dict[str, tuple[str, ...]]
    nodes: dict[str, Node] = {}
    root: str = "unknown"

    def __post_init__(self) -> None:
        above: dict[str, str | None] = {}
        for label, chain in self.classes.items():
            for name, parent in zip(chain, (*chain, None)[1:], strict=True):
                if not name or name == self.root or name in self.classes:
                    raise ValueError(
                        f"expected names of nodes above {label!r}, not of a class or the root; got {name!r}"
                    )
                if above.setdefault(name, parent) != parent:
                    raise ValueError(
                        f"expected one node above {name!r} in all chains; got {above[name] or self.root!r} and "
                        f"{parent or self.root!r}"
                    )
            if len(set(chain)) != len(chain):
                raise ValueError(f"expected each node once above {label!r}; got {', '.join(chain)}")
        if not above:
            raise ValueError("expected one or more `classes` with nodes above them; got none")
        if unknown := sorted(self.nodes.keys() - above.keys()):
            raise ValueError(f"expected `nodes` that are above a class; got {', '.join(unknown)}")

    def level(self, name: str) -> str:
        """The rank of a node, `ROOT` of the root, "" of a class."""
        if name == self.root:
            return ROOT
        if name in self.nodes:
            return self.nodes[name].rank or NO_RANK
        return NO_RANK if any(name in chain for chain in self.classes.values()) else ""


class RollupRule(msgspec.Struct, frozen=True):
    """How sure an answer must be to be given, as calibration found it.

    Attributes:
        threshold: probability that a node needs, of the little model.
        cloud: the same of the big model; None: its answers are given as they are.
        exit: whether a frame exits where a node below the root is that sure. False: it goes to the cloud all the same.
    """

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    cloud: Annotated[float, Meta(ge=0, le=1)] | None = None
    exit: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """The answer on a frame: a class, or a node above it.

    Attributes:
        label: name of the class or node.
        level: "" of a class, `ROOT` of the root, else the node's rank.
        confidence: its probability, in [0, 1]; of the root that of the likeliest class.
    """

    label: str
    level: str
    confidence: float


class Rollup:
    """Nodes over the labels of one model. Their order is that of `names`: C classes, K nodes, the root.

    Args:
        taxonomy: which groups the classes belong to.
        labels: the model's C class names.
    """

    def __init__(self, taxonomy: Taxonomy, labels: Sequence[str]) -> None:
        self._taxonomy = taxonomy
        self._labels = tuple(labels)
        members: dict[str, list[int]] = {}
        depth: dict[str, int] = {}
        for number, label in enumerate(self._labels):
            chain = taxonomy.classes.get(label, ())
            for place, name in enumerate(chain):
                members.setdefault(name, []).append(number)
                depth[name] = len(chain) - place
        self.names = (*self._labels, *members, taxonomy.root)
        self._of_nodes = np.zeros((len(members), len(self._labels)), np.float32)
        for row, numbers in enumerate(members.values()):
            self._of_nodes[row, numbers] = 1.0
        # Of nodes that are sure enough, the one of the fewest classes; of a chain of such, the deepest.
        order = {
            one: place for place, one in enumerate(sorted({(len(members[name]), -depth[name]) for name in members}))
        }
        self._coarseness = np.array([order[len(members[name]), -depth[name]] for name in members], np.float64)

    @cached_property
    def holds(self) -> NDArray[np.bool_]:
        """`bool (C + K + 1, C)`: whether a class is at or below each of `names`."""
        classes = len(self._labels)
        return np.concatenate([np.eye(classes, dtype=bool), self._of_nodes > 0, np.ones((1, classes), dtype=bool)])

    def sums(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """`float32 (N, K)`: the probabilities of the nodes, of `float32 (N, C)` of the classes."""
        result: NDArray[np.float32] = probabilities @ self._of_nodes.T
        return result

    def chosen(
        self, probabilities: NDArray[np.float32], threshold: float, sums: NDArray[np.float32] | None = None
    ) -> NDArray[np.intp]:
        """The answers at a threshold.

        Args:
            probabilities: `float32 (N, C)`.
            threshold: the least probability of an answer.
            sums: those of the nodes, where they are known; None: they are computed.

        Returns:
            `intp (N,)`, indices of `names`.
        """
        classes = len(self._labels)
        found: NDArray[np.intp] = probabilities.argmax(axis=1)
        unsure = probabilities[np.arange(len(found)), found] < threshold
        if not unsure.any():
            return found
        found[unsure] = classes + len(self._coarseness)
        if len(self._coarseness):
            mine = self.sums(probabilities[unsure]) if sums is None else sums[unsure]
            worth = np.where(mine >= threshold, np.minimum(mine, 1.0) - 2 * self._coarseness, -np.inf)
            best = worth.argmax(axis=1)
            sure = np.isfinite(worth[np.arange(len(best)), best])
            found[np.flatnonzero(unsure)[sure]] = classes + best[sure]
        return found

    def confidences(self, probabilities: NDArray[np.float32], chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """`float32 (N,)`: the confidence of each answer (`Named.confidence`)."""
        sums = (probabilities * self.holds[chosen]).sum(axis=1)
        result: NDArray[np.float32] = np.where(
            chosen == len(self.names) - 1, probabilities.max(axis=1), np.minimum(sums, 1.0)
        ).astype(np.float32)
        return result

    def named(self, probabilities: NDArray[np.float32], threshold: float) -> Named:
        """The answer on one frame, of `float32 (C,)`."""
        rows = probabilities[None]
        chosen = self.chosen(rows, threshold)
        label = self.names[int(chosen[0])]
        level = "" if chosen[0] < len(self._labels) else self._taxonomy.level(label)
        return Named(label, level, float(self.confidences(rows, chosen)[0]))


class Naming:
    """Gives each answer the name that is sure enough. Safe to use from several threads.

    Args:
        taxonomy: the bundle's; None: answers are classes.
        rule: how sure a name must be; None: answers are classes.
    """

    def __init__(self, taxonomy: Taxonomy | None = None, rule: RollupRule | None = None) -> None:
        self._taxonomy = taxonomy
        self.rule = rule if taxonomy is not None else None
        self._known: dict[tuple[str, ...], Rollup] = {}

    def of(self, prediction: Prediction) -> Named:
        """The name of the little model's prediction."""
        if self.rule is None:
            return Named(prediction.label, "", prediction.confidence)
        return self._rollup(prediction.labels).named(prediction.probabilities, self.rule.threshold)

    def of_cloud(self, labels: tuple[str, ...], chances: Sequence[float]) -> Named | None:
        """The name of what is said of a frame that went to the cloud; None: that of the likeliest class.

        Args:
            labels: the big model's.
            chances: their probabilities.
        """
        if self.rule is None or self.rule.cloud is None or len(labels) != len(chances):
            return None
        return self._rollup(labels).named(np.asarray(chances, np.float32), self.rule.cloud)

    def settles(self, prediction: Prediction) -> bool:
        """Whether a frame exits since the little model is sure of its class or of a group."""
        return self.rule is not None and self.rule.exit and self.of(prediction).level != ROOT

    def _rollup(self, labels: tuple[str, ...]) -> Rollup:
        if (found := self._known.get(labels)) is None:
            assert self._taxonomy is not None
            if len(self._known) >= _MOST_KNOWN:  # a server may change its labels
                self._known.clear()
            found = self._known[labels] = Rollup(self._taxonomy, labels)
        return found
