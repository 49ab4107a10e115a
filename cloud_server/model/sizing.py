"""From what was measured of a model on this machine to the settings that serve most frames in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """One way to run the model, and what was measured of it.

    Attributes:
        threads: CPU threads of the model; 0: it runs on a GPU.
        batch: frames in one run.
        run_s: seconds of one run.
        engine: what ran it.
    """

    threads: int
    batch: int
    run_s: float
    engine: str = "torch"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a server with these settings would serve.

    Attributes:
        measured: threads and batch.
        decoders: threads that decode.
        frames_per_s: under full load, without the work of clients on the same machine.
        latency_s: of a frame under full load: its decoding, the run that is under way, and its own.
    """

    measured: Measured
    decoders: int
    frames_per_s: float
    latency_s: float


def sizes_up_to(most: int) -> list[int]:
    """Frames in one run that are worth trying: 1, 2, 4, ... and `most`, which is at least 1."""
    return [*(1 << power for power in range(most.bit_length()) if 1 << power < most), most]


def expected(measured: Measured, decode_s: float, cores: int) -> Expected:
    """What to expect of one way to run the model.

    Decoding and the model share the cores: a frame takes `decode_s` of one core and its part of a run on `threads` of
    them. Neither is quicker than it is alone.

    Args:
        measured: the way.
        decode_s: seconds that one picture takes to decode, in one thread.
        cores: of this machine.
    """
    one_run_s = measured.run_s / measured.batch
    decoders = max(1, min(cores, round(decode_s / one_run_s + 0.5)))
    shared_s = (decode_s + measured.threads * one_run_s) / cores
    slowest_s = max(one_run_s, decode_s / decoders, shared_s)
    return Expected(measured, max(2, decoders), 1 / slowest_s, decode_s + 2 * slowest_s * measured.batch)


def best(ways: Iterable[Expected], goal_s: float | None) -> Expected:
    """The way that serves most frames with a latency within the goal; where none is, the one with the least latency.

    Args:
        ways: at least one.
        goal_s: None: no goal, and of ways within 3% of the most frames the one with the least latency.
    """
    ways = tuple(ways)
    inside = [way for way in ways if goal_s is None or way.latency_s <= goal_s]
    if not inside:
        return min(ways, key=lambda way: way.latency_s)
    most = max(way.frames_per_s for way in inside)
    return min((way for way in inside if way.frames_per_s >= 0.97 * most), key=lambda way: way.latency_s)
