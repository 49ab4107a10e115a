"""A request of the Open Inference Protocol, from its tensors to the model's answer; over gRPC and HTTP alike.

Its pictures go the way of devices' frames: the caller's rate, a place in the queue, fair turns, one batch with others.
They have no frame ids, so nothing is cached or archived, and a request that is sent again is answered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np

from cloud_server.access.authenticator import Caller
from cloud_server.access.rates import RateLimiter
from cloud_server.api.failures import outcome_of
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Answered, Batcher
from cloud_server.model.decode import Picture
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.pictures import pictures_of
from cloud_server.open_inference.results import add_outputs, wanted_of
from cloud_server.open_inference.served_model import VERSION, ServedModel
from edge_sdk.networks.label_map import LabelMap
from edge_sdk.wire import offload_pb2 as wire

MAX_ID = 256
"""Characters of a request's id that come back."""


class Inference:
    """Answers requests to one model; used on one event loop.

    Args:
        served: the model's name and limits.
        batcher: gives what decodes and classifies now.
        labels: gives the label map that holds now.
        limiter: how fast one caller may send.
        stats: counts what happens, with the devices' frames.
        batches: gives the runs of the model so far, those for devices too.
        on_answer: called with each answer of the model.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        served: ServedModel,
        batcher: Callable[[], Batcher],
        labels: Callable[[], LabelMap],
        limiter: RateLimiter,
        stats: Stats,
        *,
        batches: Callable[[], int] = lambda: 0,
        on_answer: Callable[[Answered], object] = lambda answered: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.served = served
        self._batcher, self._labels, self._limiter, self._stats, self._clock = batcher, labels, limiter, stats, clock
        self._batches, self._on_answer = batches, on_answer
        self._open = 0
        self._nothing_open = asyncio.Event()
        self._nothing_open.set()
        self._answered = self._pictures = self._failed = self._last_ms = 0
        self._answered_s = self._failed_s = 0.0
        self._stages_s = dict.fromkeys(("queue", "decode", "run", "output"), 0.0)  # of the requests that were answered

    async def infer(
        self, request: oip.ModelInferRequest, caller: Caller, version: str = VERSION
    ) -> oip.ModelInferResponse:
        """The response to one request.

        Args:
            request: to this model.
            caller: whose it is.
            version: of the model, for the response.

        Raises:
            BadRequest: it is malformed.
            RateLimited, Overloaded, Draining, ModelFailed, ImageError: as of one frame of a device; the first picture
                that fails ends the request.
        """
        began = self._clock()
        answering = self._infer(request, caller, version)
        del request
        self._open += 1
        self._nothing_open.clear()
        try:
            response = await answering
        except Exception as error:
            if (code := outcome_of(error).code) is not None:
                self._stats.count_failure(wire.Failure.Code.Name(code))
            self._failed += 1
            self._failed_s += self._clock() - began
            raise
        finally:
            self._open -= 1
            if not self._open:
                self._nothing_open.set()
        self._answered += 1
        self._answered_s += self._clock() - began
        self._last_ms = int(time.time() * 1000)
        return response

    async def finished(self) -> None:
        """Return when no request is under way."""
        await self._nothing_open.wait()

    async def _infer(self, request: oip.ModelInferRequest, caller: Caller, version: str) -> oip.ModelInferResponse:
        wanted = wanted_of(request)
        is_raw = bool(request.raw_input_contents)
        pictures = await asyncio.to_thread(pictures_of, request, self.served.max_batch)
        self._limiter.spend(caller.name, len(pictures))
        response = oip.ModelInferResponse(model_name=self.served.name, model_version=version, id=request.id[:MAX_ID])
        del request
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(picture, caller)) for picture in pictures]
                del pictures
        except ExceptionGroup as failed:  # the others are cancelled: they leave the queue
            raise failed.exceptions[0] from None
        answered_s = self._clock()
        labels = self._labels()
        rows = np.stack([labels.apply(task.result()[0].probabilities) for task in tasks])
        self._pictures += len(rows)
        add_outputs(response, wanted, rows, labels.labels, raw=is_raw)
        # A request lasts as long as its slowest picture: of each stage the longest counts, as one duration a request.
        for stage in ("queue", "decode", "run"):
            self._stages_s[stage] += max(task.result()[1][stage] for task in tasks)
        self._stages_s["output"] += self._clock() - answered_s
        return response

    async def _one(self, picture: Picture, caller: Caller) -> tuple[Answered, dict[str, float]]:
        """The model's answer on a picture, and the seconds of each stage."""
        began = self._clock()
        started, decoding = began, 0.0

        def begin() -> None:
            nonlocal started
            started = self._clock()

        def decoded(began_s: float, ended_s: float) -> None:
            nonlocal decoding
            decoding = max(0.0, ended_s - began_s)

        answered = await self._batcher().submit(picture, on_start=begin, caller=caller.name, on_decoded=decoded)
        ended = self._clock()
        self._stats.count_answer(ended - began)
        self._on_answer(answered)
        waited = max(0.0, started - began - decoding)
        return answered, {"queue": waited, "decode": decoding, "run": ended - started}

    def statistics(self, version: str = VERSION) -> oip.ModelStatistics:
        """Counts since the model was loaded. Of a stage the durations are those of each request's slowest picture."""

        def told(count: int, seconds: float) -> oip.StatisticDuration:
            return oip.StatisticDuration(count=count, ns=int(seconds * 1e9))

        return oip.ModelStatistics(
            name=self.served.name,
            version=version,
            last_inference=self._last_ms,
            inference_count=self._pictures,
            execution_count=self._batches(),
            inference_stats=oip.InferStatistics(
                success=told(self._answered, self._answered_s),
                fail=told(self._failed, self._failed_s),
                queue=told(self._answered, self._stages_s["queue"]),
                compute_input=told(self._answered, self._stages_s["decode"]),
                compute_infer=told(self._answered, self._stages_s["run"]),
                compute_output=told(self._answered, self._stages_s["output"]),
            ),
        )
