from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from gated_model import LABELS, GatedModel, picture
from open_inference_parts import CONFIG, framed, request

from cloud_server import parts
from cloud_server.access.authenticator import Caller
from cloud_server.access.rates import RateLimited, RateLimiter
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import ModelFailed
from cloud_server.open_inference.inference import Inference
from cloud_server.open_inference.served_model import ServedModel
from edge_sdk.networks.label_map import make_label_map

LAB = Caller("token lab", is_proven=True)


@asynccontextmanager
async def inference(model: GatedModel, limiter: RateLimiter | None = None) -> AsyncIterator[tuple[Inference, Stats]]:
    stats, labels = Stats(), make_label_map(LABELS, {"red fox": "fox", "grey fox": "fox"})
    batcher = parts.batcher(CONFIG, model, stats)
    await batcher.start()
    try:
        served = ServedModel(model, lambda: labels, 4)
        yield Inference(served, lambda: batcher, lambda: labels, limiter or RateLimiter(None, 1), stats), stats
    finally:
        await batcher.stop()


async def test_answers_go_through_the_label_map_and_are_counted() -> None:
    async with inference(GatedModel()) as (it, stats):
        asked = request(shape=(3,), raw_input_contents=[framed(*map(picture, (0, 1, 2)))])
        reply = await it.infer(asked, LAB)
        assert np.frombuffer(reply.raw_output_contents[0], "<f4").reshape(3, 2).argmax(axis=1).tolist() == [0, 0, 1]
        told = it.statistics()
        assert (stats.frames, told.inference_count, told.inference_stats.success.count) == (3, 3, 1)
        stats_of = told.inference_stats
        assert stats_of.success.ns > 0
        stages = [stats_of.queue, stats_of.compute_input, stats_of.compute_infer, stats_of.compute_output]
        assert [stage.count for stage in stages] == [1] * 4
        assert stats_of.compute_input.ns > 0 and stats_of.compute_infer.ns > 0
        assert stats_of.compute_infer.ns < stats_of.success.ns


async def test_the_first_picture_that_fails_ends_the_request() -> None:
    async with inference(GatedModel()) as (it, stats):
        with pytest.raises(ModelFailed):
            await it.infer(request(shape=(2,), raw_input_contents=[framed(picture(1), picture(255))]), LAB)
        assert stats.failures == {"INTERNAL": 1}
        assert it.statistics().inference_stats.fail.count == 1


async def test_a_batch_above_the_burst_passes_once_and_is_paid_for() -> None:
    now = [0.0]
    limiter = RateLimiter(1.0, 2, clock=lambda: now[0])
    asked = request(shape=(4,), raw_input_contents=[framed(*[picture(1)] * 4)])
    async with inference(GatedModel(), limiter) as (it, _):
        await it.infer(asked, LAB)
        for now[0], passes in ((3.5, False), (4.0, True), (7.9, False), (8.0, True)):
            if passes:
                await it.infer(asked, LAB)
            else:
                with pytest.raises(RateLimited, match="send this frame again in 0"):
                    await it.infer(asked, LAB)


async def test_requests_of_two_callers_share_a_batch() -> None:
    model = GatedModel()
    async with inference(model) as (it, _):
        model.shut()
        one = request(raw_input_contents=[framed(picture(1))])
        first = asyncio.create_task(it.infer(one, LAB))
        await asyncio.to_thread(model.entered.acquire)
        others = [asyncio.create_task(it.infer(one, Caller(f"token {name}", is_proven=True))) for name in "ab"]
        while it._batcher().waiting < 2:  # noqa: ASYNC110 - it happens in another task, without an event
            await asyncio.sleep(0)
        while len(it._batcher()._ready) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(first, *others)
        assert [len(batch) for batch in model.batches] == [1, 2]
