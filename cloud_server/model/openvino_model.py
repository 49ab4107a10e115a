"""The big model in OpenVINO: float32 on the CPU, often much quicker than torch there, and without torch's memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.conversion_store import About
from cloud_server.model.ticket import Little
from cloud_server.model.trial import use_quicker_alone
from edge_sdk.errors import ConfigError
from edge_sdk.model.inputs import prepare
from edge_sdk.types import Image

_PARTS = 2
"""Of a batch for each lane: few enough that a part is worth its beginning, many enough that lanes end together."""
_one_core = Lock()
INSTALL = "pip install '.[cloud,openvino]'"


def is_installed() -> bool:
    """Whether this Python has OpenVINO."""
    return find_spec("openvino") is not None


class OpenVinoModel:
    """A converted network (`cloud_server.model.conversion`), float32, on the CPU.

    Args:
        network: the converted network's file.
        about: what is known of it.
        name: shown to devices.
        threads: CPU threads; None: all cores.

    Attributes:
        on_gpu: false.

    Raises:
        ConfigError: OpenVINO cannot read the network, or run it here.
    """

    def __init__(self, network: Path, about: About, *, name: str, threads: int | None) -> None:
        self.name, self.device, self.on_gpu = name, "cpu, OpenVINO", False
        self.labels = about.labels
        self.input_width, self.input_height = about.input.width, about.input.height
        self.macs, self.parameters, self.fingerprint = about.macs, about.parameters, about.fingerprint
        self._spec, self._network = about.input, network
        self.use_threads(threads)

    def use_threads(self, threads: int | None) -> None:
        """Run on so many threads of the CPU from now on; None: as many as there are cores."""
        threads = threads or usable_cores()
        self._whole = compiled(self._network, threads, at_once=1).create_infer_request()
        self._lanes = Lanes(self._network, threads) if threads > 1 else None
        self._alone_in_lane = False

    def at_once(self, size: int) -> int:
        """All: the lanes' parts grow with the run."""
        return size

    def make_ready(self, most: int) -> None:
        """Find whether a picture alone is quicker on one thread: threads wait for one another."""
        if self._lanes is not None:
            use_quicker_alone(self, (False, True), self._use_lane_alone)

    def _use_lane_alone(self, lane: bool) -> None:
        self._alone_in_lane = lane

    def prepare(self, image: Image) -> Image:
        """Bring a picture to the input size, by the function that training used."""
        return prepare(image, self._spec)

    def run(self, images: Sequence[Image], little: Sequence[Little]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Classify N prepared pictures; the little model's probabilities are not used."""
        if self._lanes is not None and (len(images) > 1 or self._alone_in_lane):
            rows = self._lanes.run(images, len(self.labels))
        else:
            rows = np.array(self._whole.infer([np.stack(images)], share_inputs=True)[0], np.float32)
        return rows, np.full(len(images), self.macs, np.int64)


class Lanes:
    """Runs of one thread each, side by side: a core waits for no other until a batch ends.

    Threads that share a picture wait for the slowest of them after each layer, which costs most where decoding takes a
    core now and then. So a batch goes in small parts to whichever lane is free. All parts are handed over at once: no
    lane waits for Python between two of them.

    Args:
        network: the converted network's file.
        count: lanes.
    """

    def __init__(self, network: Path, count: int) -> None:
        self.count = count
        self._network = compiled(network, count, at_once=count)
        self._runs: list[Any] = []

    def run(self, images: Sequence[Image], classes: int) -> NDArray[np.float32]:
        """Probabilities of N pictures, `float32 (N, classes)`."""
        size = max(1, len(images) // (_PARTS * self.count))
        parts = [np.stack(images[at : at + size]) for at in range(0, len(images), size)]
        while len(self._runs) < len(parts):
            self._runs.append(self._network.create_infer_request())
        runs = self._runs[: len(parts)]
        rows = np.empty((len(images), classes), np.float32)
        try:
            for run, pixels in zip(runs, parts, strict=True):
                run.start_async([pixels], share_inputs=True)  # it reads the pixels where they are
            for at, run in enumerate(runs):
                run.wait()
                rows[at * size : (at + 1) * size] = run.get_output_tensor(0).data
        except BaseException:
            self._runs = []  # some of them may still run
            raise
        return rows


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compiled(network: Path | Any, threads: int, *, at_once: int) -> Any:
    """A network ready to run.

    Args:
        network: its file, or OpenVINO's own form of it.
        threads: of the CPU.
        at_once: runs side by side, which share the threads.

    Raises:
        ConfigError: OpenVINO cannot read it, or run it here.
    """
    # float32: the answers are torch's.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": at_once, "INFERENCE_NUM_THREADS": threads}
    try:
        with _one_core:
            core = _core()
        return core.compile_model(network, "CPU", settings)
    except RuntimeError as error:
        raise ConfigError(f"OpenVINO cannot run the network: {error}") from error


@cache
def _core() -> Any:
    """OpenVINO's one core, kept until the process ends.

    Each core gives the thread that compiles a stack of its own for signals, and takes it away with its last network;
    with several cores that end in another order than they began in, a thread is left with a stack that is gone, and the
    next signal kills the process.
    """
    import openvino

    return openvino.Core()
