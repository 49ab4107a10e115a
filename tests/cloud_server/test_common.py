from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from gated_model import GatedModel

from cloud_server.common import in_turn
from cloud_server.model.ticket import Ran


class Alone(GatedModel):
    """Says how many of its kind run at a time; has exits."""

    running, most = 0, 0
    exits = ("blocks.1", "big model")

    def run(self, images: Sequence[Any], little: Sequence[Any] = ()) -> Any:
        Alone.running += 1
        Alone.most = max(Alone.most, Alone.running)
        rows, macs = super().run(images, little)
        Alone.running -= 1
        return Ran(rows, macs, np.zeros(len(images), np.int64))


def test_one_model_runs_at_a_time() -> None:
    turn = threading.Lock()
    runs = [in_turn(Alone().run, turn) for _ in range(3)]
    pictures = [np.zeros((8, 8, 3), np.uint8)]
    with ThreadPoolExecutor(3) as pool:
        ran = list(pool.map(lambda number: runs[number % 3](pictures, [None]), range(60)))
    assert Alone.most == 1
    assert all(Ran(*one).exits is not None for one in ran)
