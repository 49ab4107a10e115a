"""Settings of the distillation after a cut."""

from __future__ import annotations

import msgspec

_VIEWS_PER_STEP = 5


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the distillation of a cut network.

    Attributes:
        steps: of the optimiser; 0: no distillation.
        batch: views per step.
        learning_rate: the peak.
        weight_decay: of AdamW.
        views: number of augmented and blended pictures that the teacher answers, once each; None: five for each step.
        mixed: share of the views that are blends of two pictures.
        strength: of the augmentation, in [0, 1].
        temperature: of the answers that are compared.
        truth: weight of the true classes in the loss; with so few pictures, 0 (the big model's answers alone) is best.
        features: weight of the layers' mean outputs in the loss.
        average: decay per step of the moving average of the weights; the averaged weights are the result.
        bf16: compute under bfloat16 autocast.
    """

    steps: int = 600
    batch: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    views: int | None = None
    mixed: float = 0.5
    strength: float = 1.0
    temperature: float = 2.0
    truth: float = 0.0
    features: float = 1.0
    average: float = 0.98
    bf16: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a number out of range.
        """
        shares = {"mixed": self.mixed, "strength": self.strength, "truth": self.truth, "average": self.average}
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ValueError(f"expected {name} in [0, 1]; got {value}")
        for name, value in {"weight_decay": self.weight_decay, "features": self.features}.items():
            if not value >= 0:
                raise ValueError(f"expected {name} of 0 or more; got {value}")
        few = self.batch < 2 or (self.views is not None and self.views < 2)
        if self.steps < 0 or few or self.learning_rate <= 0 or self.temperature <= 0:
            raise ValueError(
                "expected steps of 0 or more, a batch and views of 2 or more, a learning rate and a temperature above "
                f"0; got {self.steps}, {self.batch}, {self.views}, {self.learning_rate}, {self.temperature}"
            )

    def count_views(self) -> int:
        """Number of views to make: at most as many as the steps look at."""
        steps = max(1, self.steps)
        return min(_VIEWS_PER_STEP * steps if self.views is None else self.views, steps * self.batch)
