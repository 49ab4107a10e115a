"""Settings of the distillation after a cut."""

from __future__ import annotations

import msgspec

_VIEWS_PER_STEP = 5


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a cut network is taught.

    Attributes:
        steps: of the optimiser; 0 teaches nothing.
        batch: views per step.
        learning_rate: the peak.
        weight_decay: of AdamW.
        views: changed and mixed pictures on which the teacher is asked, once; None: five for each step.
        mixed: share of the views that are blends of two pictures.
        strength: of the changes, in [0, 1].
        temperature: of the answers that are compared.
        truth: weight of the true classes in the loss; with so few pictures, 0 (the big model's answers alone) is best.
        features: weight of the layers' mean outputs in the loss.
        average: decay per step of the moving average of the weights; the averaged weights are the result.
        bf16: reckon in bfloat16 where that is safe.
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
        """Refuse values that make no sense.

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
        """Views that are made: no more than are looked at."""
        steps = max(1, self.steps)
        return min(_VIEWS_PER_STEP * steps if self.views is None else self.views, steps * self.batch)
