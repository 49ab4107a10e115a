"""The policies that `policies.py` compares: ours, fixed and rolling thresholds, bandits, drift-plus-penalty."""

from __future__ import annotations

import heapq
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.shadow_price import Prices

DAY_S, DAYS = 86_400.0, 5
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(frozen=True)
class World:
    """Frames in the order of their coming."""

    at_s: np.ndarray
    gain: np.ndarray
    confidence: np.ndarray
    n_bytes: np.ndarray
    little: np.ndarray
    big: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Records to learn from."""

    gain: np.ndarray
    confidence: np.ndarray
    little: np.ndarray
    big: np.ndarray


Policy = Callable[[World, Calibration, int, np.random.Generator], Iterator[tuple[float, int]]]
"""Yields (time, frame) of each frame that is to be sent; it asks for room by itself."""


class Cap:
    """The hard cap of the baselines: what was sent within the last day."""

    def __init__(self, limit: int) -> None:
        self.limit, self.total = limit, 0
        self.sent: list[tuple[float, int]] = []
        self._first = 0

    def take(self, now_s: float, n_bytes: int) -> bool:
        """Send so many bytes if they fit."""
        while self._first < len(self.sent) and self.sent[self._first][0] <= now_s - DAY_S:
            self.total -= self.sent[self._first][1]
            self._first += 1
        if self.total + n_bytes > self.limit:
            return False
        self.sent.append((now_s, n_bytes))
        self.total += n_bytes
        return True


def rule(wants: Callable[[World, Calibration, int, np.random.Generator], Callable[[int], bool]]) -> Policy:
    """A policy that decides on each frame as it comes, and sends it if there is room."""

    def run(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Iterator[tuple[float, int]]:
        cap, offloads = Cap(limit), wants(world, known, limit, rng)
        for index, now_s in enumerate(world.at_s):
            if offloads(index) and cap.take(now_s, int(world.n_bytes[index])):
                yield float(now_s), index

    return run


def share_of(world: World, limit: int) -> float:
    """Part of all bytes that the budget pays for."""
    return limit * DAYS / float(world.n_bytes.sum())


def fixed(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """A threshold that pays for the budget on the calibration records."""
    threshold = np.quantile(known.confidence, share_of(world, limit))
    return lambda index: bool(world.confidence[index] < threshold)


def at_random(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """Each frame with the same chance."""
    share = share_of(world, limit)
    return lambda index: bool(rng.random() < share)


def rolling(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """Below the quantile of the last 500 confidences."""
    share = share_of(world, limit)

    def wants(index: int) -> bool:
        last = world.confidence[max(0, index - 500) : index + 1]
        return bool(world.confidence[index] <= np.quantile(last, share))

    return wants


def hi_lcb(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """Offload where even the lower bound on the little model's accuracy is below 1 less the cost of an offload."""
    edges = np.quantile(known.confidence, np.linspace(0, 1, 33)[1:-1])
    bins = np.searchsorted(edges, known.confidence)
    accuracy = np.array([known.little[bins == one].mean() if (bins == one).any() else 1.0 for one in range(32)])
    loss = np.sort(1 - accuracy[bins])[::-1]
    cost = loss[min(len(loss) - 1, int(share_of(world, limit) * len(loss)))]
    seen, right = np.zeros(32), np.zeros(32)

    def wants(index: int) -> bool:
        place = int(np.searchsorted(edges, world.confidence[index]))
        bound = -1.0
        if seen[place]:
            bound = right[place] / seen[place] - math.sqrt(0.5 * math.log(index + 2) / seen[place])
        if 1 - bound < cost:
            return False
        seen[place] += 1  # the cloud's answer stands for the truth
        right[place] += world.little[index] == world.big[index]
        return True

    return wants


def drift_plus_penalty(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """A virtual queue of bytes is the price."""
    queue, before_s, weight = 0.0, 0.0, 0.5 * limit / float(np.maximum(known.gain, 0).mean())

    def wants(index: int) -> bool:
        nonlocal queue, before_s
        queue = max(0.0, queue - limit / DAY_S * (world.at_s[index] - before_s))
        before_s = world.at_s[index]
        size = world.n_bytes[index]
        if weight * world.gain[index] <= queue * size / world.n_bytes.mean():
            return False
        queue += size
        return True

    return wants


def exp4(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """Nineteen thresholds vote; those whose offloads changed the answer gain weight."""
    thresholds = np.quantile(known.confidence, np.linspace(0, 0.9, 19))
    weights, queue, before_s, rate = np.zeros(19), 0.0, 0.0, 0.05

    def wants(index: int) -> bool:
        nonlocal queue, before_s, weights
        queue = max(0.0, queue - limit / DAY_S * (world.at_s[index] - before_s))
        before_s = world.at_s[index]
        say = world.confidence[index] < thresholds
        chance = np.exp(weights - weights.max())
        chance /= chance.sum()
        offload = float(chance @ say)
        if rng.random() >= 0.98 * offload + 0.02 * share_of(world, limit):
            return False
        changed = bool(world.little[index] != world.big[index])
        reward = changed - 4 * queue / limit
        weights = weights + rate * say * np.clip(reward / max(offload, 0.05), -20, 20)
        queue += world.n_bytes[index]
        return True

    return wants


def ours(priced: bool) -> Policy:
    """The device's own parts: ledger, prices, and late choice from a queue."""

    def run(world: World, known: Calibration, limit: int, rng: np.random.Generator) -> Iterator[tuple[float, int]]:
        now = 0.0
        folder = tempfile.mkdtemp(dir=IN_MEMORY)
        with Ledger(
            Path(folder) / "ledger.db",
            budgets=[Budget(limit, DAY_S)],
            clock=lambda: now,
            steady=lambda: now,
            boot_id="replay",
        ) as ledger:
            prices = Prices(ledger)
            waiting: list[tuple[float, int]] = []
            for index in range(len(world.at_s)):
                now = float(world.at_s[index])
                gain, size = float(world.gain[index]), int(world.n_bytes[index])
                if gain > 0:
                    prices.ask(gain, {Resource.UPLOAD: size})
                    heapq.heappush(waiting, (-gain / size, index))
                while waiting:
                    best = waiting[0][1]
                    size = int(world.n_bytes[best])
                    dear = priced and prices.cost({Resource.UPLOAD: size}) > world.gain[best]
                    if dear or not ledger.try_spend(upload=size):
                        break
                    heapq.heappop(waiting)
                    yield now, best
        shutil.rmtree(folder)

    return run


POLICIES: dict[str, Policy] = {
    "ours": ours(priced=True),
    "ours, no price": ours(priced=False),
    "fixed threshold": rule(fixed),
    "rolling quantile": rule(rolling),
    "random": rule(at_random),
    "HI-LCB": rule(hi_lcb),
    "drift + penalty": rule(drift_plus_penalty),
    "EXP4": rule(exp4),
}
