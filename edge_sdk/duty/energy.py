"""What a duty cycle costs: seconds asleep and awake, and joules by a power model."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.config import PowerModel


@dataclass(frozen=True, slots=True)
class Spent:
    """Time and work of a device over a while; values add up with `+`.

    Attributes:
        asleep_s: camera closed, waiting.
        awake_s: camera open or being opened.
        wakes: how often the camera was opened.
        model_s: of these seconds, those in which the little model ran.
        sent_bytes: bytes sent.
    """

    asleep_s: float = 0.0
    awake_s: float = 0.0
    wakes: int = 0
    model_s: float = 0.0
    sent_bytes: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.asleep_s + other.asleep_s,
            self.awake_s + other.awake_s,
            self.wakes + other.wakes,
            self.model_s + other.model_s,
            self.sent_bytes + other.sent_bytes,
        )

    @property
    def seconds(self) -> float:
        """The length of the while."""
        return self.asleep_s + self.awake_s

    def parts(self, power: PowerModel) -> dict[str, float]:
        """Joules by part of the cycle: sleep, wake, look, answer, send."""
        return {
            "sleep": self.asleep_s * power.asleep_watts,
            "wake": self.wakes * power.wake_joules,
            "look": self.awake_s * power.awake_watts,
            "answer": self.model_s * power.active_watts,
            "send": self.sent_bytes * power.joules_per_byte,
        }

    def joules(self, power: PowerModel) -> float:
        """All of it."""
        return sum(self.parts(power).values())

    def mean_watts(self, power: PowerModel) -> float:
        """Mean power over the while; 0 where it has no length."""
        return self.joules(power) / self.seconds if self.seconds > 0 else 0.0
