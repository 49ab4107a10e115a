"""Records: one model's answers on N labelled pictures, and the model's cost.

Thresholds, companions and exits are chosen from records alone, so no model has to run twice for another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.big_reference import BigReference, label_difference
from edge_sdk.model.policy import Policy
from edge_sdk.types import View
from edge_sdk.workbench.cascade.confidence import (
    fit_looks_temperature,
    fit_temperature,
    least_temperature,
    log_loss,
    softmax,
    to_logits,
)

FORMAT = "edge-sdk-records-1"
_UNKNOWN_AS = {"places": "", "times": np.nan}
UNKNOWN = -1
"""The truth of a picture that nobody has labelled."""
ARRAYS = (
    *("ids", "truths", "predicted", "confidence", "probabilities", "energy", "upload_bytes", "groups", "sources"),
    *("places", "times", "looks", "prior", "near"),
)
"""Arrays of a file, in the order of the fields; those that an older version did not write are None."""


class RecordsInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The model that was run, and on what.

    Attributes:
        model: its name.
        labels: class names, in the order of the probabilities and of the numbers in `truths` and `predicted`.
        macs: multiply-accumulates per picture at the model's own resolution, counted by `count_macs`; 0: unknown.
        parameters: number of weights; 0: unknown.
        width: of the input, pixels; 0: unknown.
        height: of the input, pixels; 0: unknown.
        latency_ms: median time of one picture (batch 1) on the machine that ran it; 0: not measured.
        precision: "fp32", "int8" ...
        runtime: what ran it, with the number of threads.
        data: address and split of the pictures, and how they were encoded.
        served_as: what `cloud-server --model` takes to serve it; "": unknown.
        fingerprint: of its file (`edge_sdk.model.big_reference`); "": unknown.
        label_map: that led its own labels to these; empty: they are its own.
        view: what of a picture it looked at, or, of a model in the cloud, what of it was sent.
    """

    format: str = FORMAT
    model: str
    labels: tuple[str, ...]
    macs: int = 0
    parameters: int = 0
    width: int = 0
    height: int = 0
    latency_ms: float = 0.0
    precision: str = ""
    runtime: str = ""
    data: str = ""
    served_as: str = ""
    fingerprint: str = ""
    label_map: dict[str, str] = {}
    view: str = View.FRAME.value

    @property
    def reference(self) -> BigReference:
        """The model as the policy of a bundle names it."""
        return BigReference(
            name=self.model,
            model=self.served_as,
            fingerprint=self.fingerprint,
            labels=self.labels,
            label_map=self.label_map,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """One model's answers on N pictures.

    Attributes:
        info: the model.
        ids: `str (N,)`, one per picture, unique.
        truths: `int64 (N,)`, index of the true class; `UNKNOWN`: not labelled.
        predicted: `int64 (N,)`, index of the class that the model names.
        confidence: `float32 (N,)`, the model's probability of that class.
        probabilities: `float16 (N, C)`, or None if only the top class is known.
        energy: `float32 (N,)`, log of the sum of exponentials of the logits, or None.
        upload_bytes: `int64 (N,)`, size of the encoded picture, or None if it was not encoded.
        groups: `str (N,)`, name under which results on each picture are reported, such as its light; or None.
        sources: `str (N,)`, the origin of each picture, such as its camera or its file; or None.
        places: `str (N,)`, where each picture was taken; "" unknown; or None.
        times: `float64 (N,)`, capture times, seconds since 1970; NaN: unknown, or the picture belongs to no visit; or
            None.
        looks: `float16 (N, 2, C)`, the probabilities of the whole frame and of the region, of which `probabilities` is
            the mean; or None, where the model looks once.
        prior: `float32 (N, C)`, log of the factor of each calibrated probability on the device, for priors of place and
            season; or None: 0.
        near: `bool (N,)`, a region of the frame was looked at, or sent; or None: an older version wrote them
            (`with_region`).

    Raises:
        WorkbenchError: arrays that do not fit one another, labels out of range, probabilities outside [0, 1].
    """

    info: RecordsInfo
    ids: NDArray[np.str_]
    truths: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float16] | None = None
    energy: NDArray[np.float32] | None = None
    upload_bytes: NDArray[np.int64] | None = None
    groups: NDArray[np.str_] | None = None
    sources: NDArray[np.str_] | None = None
    places: NDArray[np.str_] | None = None
    times: NDArray[np.float64] | None = None
    looks: NDArray[np.float16] | None = None
    prior: NDArray[np.float32] | None = None
    near: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        name, count, classes = self.info.model, len(self.ids), len(self.info.labels)
        if classes < 2:
            raise WorkbenchError(f"{name}: expected two or more labels; got {classes}")
        if not count:
            raise WorkbenchError(f"{name}: expected at least one record; got none")
        if len(np.unique(self.ids)) != count:
            raise WorkbenchError(f"{name}: expected unique sample ids; some come twice")
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(ARRAYS, (count,))
        shapes |= {"probabilities": (count, classes), "looks": (count, 2, classes), "prior": (count, classes)}
        for field, shape in shapes.items():
            array = getattr(self, field)
            if array is not None and array.shape != shape:
                raise WorkbenchError(f"{name}: expected {field} of shape {shape}; got {array.shape}")
        for field, least in (("truths", UNKNOWN), ("predicted", 0)):
            array = getattr(self, field)
            if array.min() < least or array.max() >= classes:
                raise WorkbenchError(
                    f"{name}: expected {field} from 0 to {classes - 1}; got {array.min()} to {array.max()}"
                )
        for field in ("confidence", "probabilities", "looks"):
            array = getattr(self, field)
            if array is not None and not ((array >= 0) & (array <= 1.001)).all():
                row = int(np.flatnonzero(~((array >= 0) & (array <= 1.001)).reshape(count, -1).all(axis=1))[0])
                raise WorkbenchError(
                    f"{name}: expected {field} from 0 to 1; record {str(self.ids[row])!r} has other values"
                )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def group_names(self) -> list[str]:
        """What a group split goes by: the source of each picture, or its id where sources are not known."""
        names: list[str] = (self.ids if self.sources is None else self.sources).tolist()
        return names

    @property
    def right(self) -> NDArray[np.bool_]:
        """`bool (N,)`: the model names the true class.

        Raises:
            WorkbenchError: a picture is not labelled.
        """
        unknown = int((self.truths == UNKNOWN).sum())
        if unknown:
            raise WorkbenchError(
                f"{self.info.model}: expected labelled pictures; {unknown} of {len(self)} have no label. "
                "`edge-sdk calibrate --ask` and `--answers` need few labels"
            )
        right: NDArray[np.bool_] = self.predicted == self.truths
        return right

    @property
    def accuracy(self) -> float:
        """Share of the records that the model names rightly."""
        return float(self.right.mean())

    @property
    def logits(self) -> NDArray[np.float32]:
        """`float32 (N, C)` logits; without the energy they are known up to a constant per row.

        Of a model that looks twice they are those of the mean of its probabilities.

        Raises:
            WorkbenchError: only the top class is known.
        """
        if self.probabilities is None:
            raise WorkbenchError(f"{self.info.model}: expected records with all probabilities; these have the top one")
        logits = to_logits(self.probabilities)
        return logits if self.energy is None else logits + self.energy[:, None]

    @property
    def with_region(self) -> NDArray[np.bool_]:
        """`bool (N,)`: frames of which a region was looked at; the others were seen whole.

        Where the records do not say, those of two looks that differ.
        """
        if self.near is not None:
            return self.near
        if self.looks is None:
            return np.zeros(len(self), np.bool_)
        differ: NDArray[np.bool_] = (self.looks[:, 0] != self.looks[:, 1]).any(axis=1)
        return differ

    def calibrated_by(self, policy: Policy) -> NDArray[np.float32]:
        """As `calibrated`, each frame at the temperature of its look."""
        chances = self.calibrated(policy.temperature)
        rows = np.flatnonzero(self.with_region)
        if policy.regions is not None and len(rows):
            chances[rows] = self.part(rows).calibrated(policy.regions.temperature)
        return chances

    def calibrated(self, temperature: float) -> NDArray[np.float32]:
        """`float32 (N, C)` probabilities at another temperature, as on the device: the mean of two looks; priors."""
        return self._at(self._looks_logits, temperature)

    @property
    def _looks_logits(self) -> list[NDArray[np.float32]]:
        return [self.logits] if self.looks is None else [to_logits(self.looks[:, look]) for look in (0, 1)]

    def _at(self, looks: list[NDArray[np.float32]], temperature: float) -> NDArray[np.float32]:
        chances: NDArray[np.float32] = softmax(looks[0], temperature)
        if len(looks) == 2:
            chances = (chances + softmax(looks[1], temperature)) / np.float32(2)
        if self.prior is not None:
            chances = chances * np.exp(self.prior)
            chances /= chances.sum(axis=1, keepdims=True)
        return chances

    def fit_temperature(
        self, chosen: NDArray[np.bool_] | None = None, truths: NDArray[np.integer] | None = None
    ) -> float:
        """The temperature of least negative log-likelihood on the chosen records (default: all).

        Args:
            chosen: `bool (N,)`.
            truths: `int (N,)` to be likely, where those are not the records' own.
        """
        wanted = self.truths if truths is None else truths
        mine = np.ones(len(self), np.bool_) if chosen is None else chosen
        if self.looks is None:
            return fit_temperature(self.logits[mine], wanted[mine], None if self.prior is None else self.prior[mine])
        if self.prior is not None:
            part = self.part(mine)
            logits = part._looks_logits
            return least_temperature(lambda temperature: log_loss(part._at(logits, temperature), wanted[mine]))
        looks = self.looks[mine]
        return fit_looks_temperature([to_logits(looks[:, look]) for look in (0, 1)], wanted[mine])

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Records:
        """The chosen records alone, in that order."""

        def cut(array: NDArray[Any] | None) -> Any:
            return None if array is None else array[chosen]

        return Records(self.info, *(cut(getattr(self, name)) for name in ARRAYS))


def from_logits(
    info: RecordsInfo,
    ids: Sequence[str],
    truths: Sequence[int],
    logits: NDArray[np.floating],
    upload_bytes: Sequence[int] | None = None,
    groups: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    places: Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    near: Sequence[bool] | None = None,
) -> Records:
    """Records from a model's `(N, C)` logits; or `(N, 2, C)`, of two looks at each picture, whose mean it answers."""
    looks = None
    if np.ndim(logits) == 3:
        looks = np.stack([softmax(logits[:, 0]), softmax(logits[:, 1])], axis=1)
        probabilities, energy = looks.mean(axis=1), None
    else:
        probabilities = softmax(logits)
        energy = (np.asarray(logits).max(axis=1) - np.log(probabilities.max(axis=1))).astype(np.float32)
    return Records(
        info,
        np.array(ids, dtype=np.str_),
        np.array(truths, np.int64),
        (probabilities if looks is not None else np.asarray(logits)).argmax(axis=1).astype(np.int64),
        probabilities.max(axis=1),
        probabilities.astype(np.float16),
        energy,
        None if upload_bytes is None else np.array(upload_bytes, np.int64),
        None if groups is None else np.array(groups, dtype=np.str_),
        None if sources is None else np.array(sources, dtype=np.str_),
        None if places is None else np.array(places, dtype=np.str_),
        None if times is None else np.array(times, np.float64),
        None if looks is None else looks.astype(np.float16),
        near=None if near is None else np.array(near, np.bool_),
    )


def join(parts: Sequence[Records]) -> Records:
    """Join records of one model on several parts of its pictures."""

    def whole(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        if name in _UNKNOWN_AS and any(array is not None for array in arrays):
            unknown = _UNKNOWN_AS[name]
            arrays = [np.full(len(part), unknown) if a is None else a for a, part in zip(arrays, parts, strict=True)]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    return Records(parts[0].info, *(whole(name) for name in ARRAYS))


def check_same(*records: Records) -> None:
    """Check that records of several models are of the same pictures, labels and truths, in the same order.

    Raises:
        WorkbenchError: they are not; the message names the models and the first difference.
    """
    first = records[0]
    for other in records[1:]:
        names = f"{first.info.model} and {other.info.model}"
        if first.info.labels != other.info.labels:
            raise WorkbenchError(
                f"expected the same labels of {names} ({', '.join(first.info.labels[:20])}); of the second, "
                f"{label_difference(first.info.labels, other.info.labels) or 'their order differs'}"
            )
        if len(first) != len(other):
            raise WorkbenchError(f"expected the same pictures of {names}; got {len(first)} and {len(other)} records")
        apart = np.flatnonzero(first.ids != other.ids)
        if len(apart):
            row = int(apart[0])
            raise WorkbenchError(
                f"expected the same sample ids of {names}; record {row} is {first.ids[row]} and {other.ids[row]}"
            )
        apart = np.flatnonzero(first.truths != other.truths)
        if len(apart):
            raise WorkbenchError(f"expected the same truths of {names}; they differ at {first.ids[int(apart[0])]}")
