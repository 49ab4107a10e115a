"""Exit or offload: a bundle's settings (`policy.json`), and the decision on one frame.

The rule is Little-Big's (Liu, Thopalli, Thiagarajan, "Speeding Up Image Classifiers with Little Companions",
arXiv 2406.17117): the frame exits when the little model's confidence is at or above a threshold, and otherwise the
big model's prediction replaces the little one's. Confidence is the top probability after temperature scaling. Where
calibration found that a learned gate ranks frames better, the frame exits when the gain that the gate expects of a
second opinion is at or below a limit. Threshold, temperature and gate come from `policy.json`, which may have one rule
for frames that were seen whole and another (`Policy.regions`) for those of which a region was looked at: a mean of two
looks is surer, and more often right, than one look at the whole. Frames that a motion gate admits though nothing moves
may have a third one (`Policy.still`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.errors import ConfigError
from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model.agreement import Agreement
from edge_sdk.model.big_reference import BigReference
from edge_sdk.model.outside import OutsideRule
from edge_sdk.model.priors import PriorRule
from edge_sdk.model.rules import EventRule as EventRule
from edge_sdk.model.rules import GainTable as GainTable
from edge_sdk.model.rules import Histogram as Histogram
from edge_sdk.model.rules import LookRule as LookRule
from edge_sdk.model.rules import StillRule as StillRule
from edge_sdk.model.taxonomy import Naming, RollupRule
from edge_sdk.types import Prediction, Reason, View


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How to use a little model (`policy.json`), as calibration found it.

    The default is cautious: an uncalibrated network is often overconfident, so it must claim 0.8 before a frame exits.

    Attributes:
        schema: version of this format that wrote it; for people.
        min_reader: the version of this format that a reader must know (`edge_sdk.model.bundle.READER`).
        threshold: confidence at or above which a frame exits, in [0, 1]; not used where there is a gate.
        temperature: logits are divided by it before the softmax.
        gate: the learned gate; None: the threshold decides.
        gains: the gain that a second opinion is expected to bring, where there is no gate; it orders what is offloaded.
        ensemble: weight of the little model's probabilities in the answer on an offloaded frame; 0: the big model's
            answer stands alone.
        confidences: of the calibration frames; None: unknown.
        agreement: how often exits were answered as by the big model; None: unknown.
        outside: which confident frames are offloaded since they look like none of calibration; None: none are.
        regions: the rule for frames of which a region was looked at, alone or beside the whole; the fields above of the
            same names are then of frames seen whole. None: they are of all frames.
        still: the rule for frames that a motion gate admits though nothing moves in them, such as its heartbeats; None:
            they are decided as all frames seen whole.
        events: how visits are answered; None: frames are answered one by one.
        priors: how much the priors of place and season count (`priors.json`); None: they are not used.
        rollup: how sure an answer must be, else a group above it is given (`taxonomy.json`); None: classes alone.
        send: what of an unsure frame with a region travels: "frame", or "region", its surroundings.
        upload: how pictures travel.
        region_upload: how a region's surroundings travel, which are smaller; None: as whole frames do.
        ladder: renditions to choose from for each frame; each is larger than the one before and of more relative gain.
            Empty: not measured, `upload` is for all.
        big_macs: multiply-accumulates per frame of the big model it was calibrated against; 0: unknown.
        big: the big model that it was calibrated with; None: not calibrated, or by a version that did not write it.
        calibration: facts of the calibration, for the reader: samples, date, accuracies, exit ratio.
    """

    schema: int = 1
    min_reader: int = 1
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    gate: GainTable | None = None
    gains: GainTable | None = None
    ensemble: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    confidences: Histogram | None = None
    agreement: Agreement | None = None
    outside: OutsideRule | None = None
    regions: LookRule | None = None
    still: StillRule | None = None
    events: EventRule | None = None
    priors: PriorRule | None = None
    rollup: RollupRule | None = None
    send: str = View.FRAME.value
    upload: Upload = Upload()
    region_upload: Upload | None = None
    ladder: tuple[Rendition, ...] = ()
    big_macs: Annotated[int, Meta(ge=0)] = 0
    big: BigReference | None = None
    calibration: dict[str, float | int | str] = {}

    def __post_init__(self) -> None:
        if self.send not in (View.FRAME, View.REGION):
            raise ValueError(f'expected `send` as "frame" or "region"; got {self.send!r}')
        came = [(one.mean_bytes, one.relative_gain) for one in self.ladder]
        if any(not (one[0] < two[0] and one[1] < two[1]) for one, two in pairwise(came)):
            raise ValueError(f"expected a `ladder` of rising `mean_bytes` and rising `relative_gain`; got {came}")

    @property
    def promised_to_differ(self) -> float | None:
        """Upper bound on the share of exits that the big model answers otherwise, whatever was looked at.

        It is the greatest of the rules' bounds (`still` has none); None: one of them has none.
        """
        known = [rule.agreement for rule in (self, self.regions) if rule is not None]
        bounds = [one.at_most for one in known if one is not None]
        return max(bounds) if len(bounds) == len(known) else None

    def of_look(self, near: bool, *, still: bool = False) -> Policy:
        """The settings for frames of which a region was looked at (`near`) or that were seen whole.

        The fields of the rule are that rule's; `regions` and `still` are None.

        Args:
            near: a region was looked at.
            still: a motion gate admitted the frame though nothing moves in it, and it was seen whole.
        """
        rule = self.regions if near else self.still if still else None
        fields = () if rule is None else rule.__struct_fields__
        return msgspec.structs.replace(self, regions=None, still=None, **{name: getattr(rule, name) for name in fields})


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the application wants of the cloud, beyond the bundle's calibration.

    Attributes:
        weights: what a right answer is worth, by class; 1 for classes that are not named. A frame's gain is multiplied
            by the expected weight, over the little model's probabilities.
        never_upload: classes whose frames never leave the device.
        private_above: a frame counts as one of these when their probabilities sum to this or more.
        floor: a frame of lower confidence is offloaded before all others, at any price.
        ceiling: a frame of this confidence or more exits, even where the calibration says otherwise. 1: no ceiling.
        min_worth: unsure frames that are worth less than this part of today's price exit at once; the others wait in
            the spool for the price to fall. 0 keeps all, which writes most to the disk and chooses best.
        initial_credit: share of a budget that a device which has never used it may spend at once; the rest is spread
            over the first period. 1 for short runs, which shall not wait for an even pace.
        audit: share of the confident frames that are sent all the same, drawn at random, so that accuracy in service
            can be measured (`EdgeClassifier.evidence`); of the confident events, where these are answered as a whole.
            Classes of `never_upload` are left out. 0: none.

    Raises:
        ConfigError: a value is out of range.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    never_upload: tuple[str, ...] = ()
    private_above: float = 0.2
    floor: float = 0.0
    ceiling: float = 1.0
    min_worth: float = 0.1
    initial_credit: float = 0.1
    audit: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(weight) and weight >= 0 for weight in self.weights.values()):
            raise ConfigError(f"expected weights of at least 0; got {dict(self.weights)}")
        if not (0 <= self.floor <= self.ceiling <= 1):
            raise ConfigError(f"expected 0 <= floor <= ceiling <= 1; got {self.floor}, {self.ceiling}")
        if not 0 < self.private_above <= 1:
            raise ConfigError(f"expected private_above in (0, 1]; got {self.private_above}")
        for name in ("min_worth", "initial_credit", "audit"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"expected {name} in [0, 1]; got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one frame.

    Attributes:
        exits: True: the device's answer is final. False: the frame is to be offloaded.
        reason: why.
        gain: what a second opinion is expected to be worth: the calibrated chance that the big model is right less
            the chance that the little one is, or 1 - confidence without calibration; times the frame's weight. Frames
            of higher gain per byte leave first and are dropped last.
    """

    exits: bool
    reason: Reason
    gain: float


class ExitPolicy:
    """Decides which frames exit.

    Args:
        settings: the bundle's `policy.json`; where it has `regions`, those of one kind of frames (`Policy.of_look`).
        threshold: a confidence to use instead of the bundle's own rule: 0 lets every frame exit, a value above 1 (up
            to 2) none.
        preferences: the application's.
        labels: the bundle's, which the preferences name.
        archive: classes that are on no disk exit as those do that are never uploaded, by its `never_store`.
        naming: groups of which a sure one lets a frame exit, where the bundle's policy has it so.

    Raises:
        ConfigError: the threshold is out of range, or a preference names a class that is not the bundle's.
    """

    def __init__(
        self,
        settings: Policy,
        threshold: float | None = None,
        preferences: Preferences | None = None,
        labels: tuple[str, ...] = (),
        *,
        archive: ArchiveRule | None = None,
        naming: Naming | None = None,
    ) -> None:
        _check_threshold(threshold)
        self._wants = wants = preferences or Preferences()
        named = {*wants.weights, *wants.never_upload}
        if unknown := sorted(named.difference(labels)):
            raise ConfigError(f"expected classes of the bundle ({', '.join(labels)}); got {', '.join(unknown)}")
        self._private = [([labels.index(label) for label in wants.never_upload], wants.private_above)]
        if archive is not None:
            never = [number for number, label in enumerate(labels) if label in archive.never_store]
            self._private.append((never, archive.never_above))
        self._weights = np.array([wants.weights.get(label, 1.0) for label in labels]) if wants.weights else None
        self._naming = naming if threshold is None else None
        self._gains = settings.gate or settings.gains
        self._gate = settings.gate if threshold is None else None
        self._threshold = settings.threshold if threshold is None else threshold
        self._outside = settings.outside if threshold is None else None
        if self._outside is not None and labels and len(self._outside.least) != len(labels):
            raise ConfigError(f"expected outside.least of {len(labels)} classes; got {len(self._outside.least)}")
        self._outside_gain = 0.0 if settings.outside is None else settings.outside.gain

    @property
    def threshold(self) -> float | None:
        """The confidence at or above which a frame exits; None where a learned gate decides."""
        return None if self._gate else self._threshold

    def decide(self, prediction: Prediction) -> Decision:
        """Judge one prediction."""
        confidence = prediction.confidence
        gain = self._gains.expected(prediction.probabilities) if self._gains is not None else 1.0 - confidence
        exits = gain <= self._gate.exit_at_or_below if self._gate is not None else confidence >= self._threshold
        wants = self._wants
        if confidence < wants.floor:
            exits, gain = False, 1.0
        elif confidence >= wants.ceiling < 1.0:
            exits = True
        worth = max(0.0, gain)
        if self._weights is not None:
            worth *= float(self._weights @ prediction.probabilities)
        if exits and self._is_outside(prediction):
            private = self.is_private(prediction)
            return Decision(private, Reason.PRIVATE if private else Reason.OUTSIDE, self._outside_gain)
        if exits:
            return Decision(True, Reason.CONFIDENT, worth)
        if self.is_private(prediction):
            return Decision(True, Reason.PRIVATE, worth)
        if self._naming is not None and confidence >= wants.floor and self._naming.settles(prediction):
            return Decision(True, Reason.GROUP, worth)
        return Decision(False, Reason.UNSURE, worth)

    def _is_outside(self, prediction: Prediction) -> bool:
        rule, ceiling = self._outside, self._wants.ceiling
        return rule is not None and not prediction.confidence >= ceiling < 1.0 and rule.holds(prediction)

    def is_private(self, prediction: Prediction) -> bool:
        """Whether the frame may show a class that is never uploaded, or never stored."""
        return any(
            bool(numbers) and float(prediction.probabilities[numbers].sum()) >= above
            for numbers, above in self._private
        )


def event_policy(settings: Policy, *, near: bool = True) -> Policy:
    """The settings by which events are decided, and drawn for audits: the event rule's, where there is one.

    A gate that calibration found on frames still ranks what is offloaded. Without an event rule, an event exits as a
    frame of the same probabilities would.

    Args:
        settings: the bundle's `policy.json`.
        near: the region is looked at of frames that have one, as those of events do: movement makes events.
    """
    settings = settings.of_look(near)
    if settings.events is None:
        return settings
    rule, gains = settings.events, settings.gate or settings.gains
    agreement = rule.agreement or settings.agreement
    return msgspec.structs.replace(settings, threshold=rule.threshold, gate=None, gains=gains, agreement=agreement)


def _check_threshold(threshold: float | None) -> None:
    if threshold is None:
        return
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 2:
        percent = isinstance(threshold, int | float) and 2 < threshold <= 100
        hint = f"; did you mean {threshold / 100:g}?" if percent else ""
        raise ConfigError(
            "expected threshold as a confidence from 0 (every frame exits) to 1, or 1.01 (none exits); "
            f"got {threshold!r}{hint}"
        )
