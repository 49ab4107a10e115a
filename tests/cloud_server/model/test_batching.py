from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from gated_model import NAN, POISON, GatedModel

from cloud_server.model.batching import Answered, Batcher, Draining, ModelFailed, Overloaded
from edge_sdk.errors import ImageError
from edge_sdk.types import Image


def prepare(data: bytes) -> Image:
    if data == b"broken":
        raise ImageError("broken")
    return np.full((8, 8, 3), data[0], np.uint8)


@asynccontextmanager
async def running(model: GatedModel, **options: Any) -> AsyncIterator[Batcher]:
    batcher = Batcher(prepare, model.run, **{"max_batch": 4, "max_queue": 8, **options})
    await batcher.start()
    try:
        yield batcher
    finally:
        model.gate.set()
        await batcher.stop()


async def entered(model: GatedModel) -> None:
    """Return when the model has begun one more run."""
    await asyncio.to_thread(model.entered.acquire)


async def until(condition: Any) -> None:
    """Let the loop turn until `condition()`."""
    while not condition():  # noqa: ASYNC110 - what is awaited has no event of its own
        await asyncio.sleep(0)


def submit(batcher: Batcher, level: int) -> asyncio.Task[Any]:
    return asyncio.create_task(batcher.submit(bytes([level])))


async def test_a_lone_frame_starts_at_once_and_the_next_batch_fills_behind_it() -> None:
    model = GatedModel()
    model.shut()
    async with running(model) as batcher:
        first = submit(batcher, 0)
        await entered(model)
        rest = [submit(batcher, level) for level in range(1, 7)]
        await until(lambda: len(batcher._ready) == 6)
        model.gate.set()
        rows = await asyncio.gather(first, *rest)
    assert [len(batch) for batch in model.batches] == [1, 4, 2]
    assert [int(row.probabilities.argmax()) for row in rows] == [level % 3 for level in range(7)]


async def test_one_more_than_may_wait_is_refused() -> None:
    model = GatedModel()
    model.shut()
    async with running(model, max_queue=3) as batcher:
        tasks = [submit(batcher, 0)]
        await entered(model)
        tasks += [submit(batcher, level) for level in range(3)]
        await until(lambda: batcher.waiting == 3)
        with pytest.raises(Overloaded, match="the queue is full, 3 frames wait"):
            await batcher.submit(b"\1")
        assert batcher.pending == 4
        model.gate.set()
        await asyncio.gather(*tasks)
        assert (await batcher.submit(b"\1")).probabilities.argmax() == 1
        assert (batcher.waiting, batcher.pending) == (0, 0)


async def test_a_greedy_caller_does_not_shut_the_others_out() -> None:
    model = GatedModel()
    model.shut()
    async with running(model, max_queue=6) as batcher:

        def send(level: int, caller: str) -> asyncio.Task[Any]:
            return asyncio.create_task(batcher.submit(bytes([level]), caller=caller))

        tasks = [send(0, "greedy")]
        await entered(model)
        tasks += [send(1, "greedy") for _ in range(6)]
        await until(lambda: len(batcher._ready) == 6)
        with pytest.raises(Overloaded):
            await send(1, "greedy")
        tasks += [send(2, "quiet") for _ in range(3)]  # its share of a queue of 6 beside one other
        await until(lambda: len(batcher._ready) == 9)
        with pytest.raises(Overloaded, match="9 frames wait"):
            await send(2, "quiet")
        tasks += [send(4, caller) for caller in "abc"]
        await until(lambda: len(batcher._ready) == 12)
        with pytest.raises(Overloaded, match="12 frames wait"):  # twice the queue is the most
            await send(4, "d")
        model.gate.set()
        await asyncio.gather(*tasks)
        assert batcher.waiting == 0
    assert model.batches == [[0], [1, 2, 4, 4], [1, 2, 4, 1], [1, 2, 1, 1]]


async def test_a_caller_that_leaves_frees_its_place() -> None:
    model = GatedModel()
    model.shut()
    async with running(model, max_queue=2) as batcher:
        running_one = submit(batcher, 0)
        await entered(model)
        leaving, staying = submit(batcher, 1), submit(batcher, 2)
        await until(lambda: len(batcher._ready) == 2)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert batcher.waiting == 1
        late = submit(batcher, 5)
        await until(lambda: len(batcher._ready) == 2)
        running_one.cancel()  # in the model already: its row is dropped
        model.gate.set()
        assert [int(row.probabilities.argmax()) for row in await asyncio.gather(staying, late)] == [2, 2]
    assert model.batches == [[0], [2, 5]]


async def test_one_poisoned_frame_spoils_no_other() -> None:
    model = GatedModel()
    model.shut()
    async with running(model) as batcher:
        first = submit(batcher, 0)
        await entered(model)
        rest = [submit(batcher, level) for level in (1, POISON, 2, NAN)]
        await until(lambda: len(batcher._ready) == 4)
        model.gate.set()
        results = await asyncio.gather(first, *rest, return_exceptions=True)
    kept = [result for result in (results[0], results[1], results[3]) if isinstance(result, Answered)]
    assert [result.probabilities.argmax() for result in kept] == [0, 1, 2]
    assert isinstance(results[2], ModelFailed) and "RuntimeError" in str(results[2])
    assert isinstance(results[4], ModelFailed) and "not finite" in str(results[4])
    assert model.batches[1:] == [[1, POISON, 2, NAN], [1], [POISON], [2], [NAN]]


async def test_a_model_with_too_few_rows_has_failed() -> None:
    def nothing(images: object, little: object) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((0, 3), np.float32), np.zeros(0, np.int64)

    batcher = Batcher(prepare, nothing, max_batch=4, max_queue=8)
    await batcher.start()
    with pytest.raises(ModelFailed, match="ValueError"):
        await batcher.submit(b"\0")
    await batcher.stop()


async def test_an_error_of_prepare_reaches_its_caller_alone() -> None:
    model = GatedModel()
    async with running(model) as batcher:
        with pytest.raises(ImageError, match="broken"):
            await batcher.submit(b"broken")
        assert (batcher.waiting, batcher.pending) == (0, 0)
        assert (await batcher.submit(b"\2")).probabilities.argmax() == 2


async def test_a_window_waits_for_a_full_batch() -> None:
    model = GatedModel()
    async with running(model, max_wait_s=3600) as batcher:
        await asyncio.gather(*(submit(batcher, level) for level in range(4)))
        assert [sorted(batch) for batch in model.batches] == [[0, 1, 2, 3]]


async def test_a_window_ends() -> None:
    model = GatedModel()
    async with running(model, max_wait_s=0.001) as batcher:
        assert (await batcher.submit(b"\1")).probabilities.argmax() == 1


async def test_closing_refuses_the_new_and_answers_the_old() -> None:
    model = GatedModel()
    model.shut()
    async with running(model) as batcher:
        tasks = [submit(batcher, 0)]
        await entered(model)
        tasks += [submit(batcher, 1), submit(batcher, 2)]
        await until(lambda: batcher.waiting == 2)
        batcher.close()
        with pytest.raises(Draining):
            await batcher.submit(b"\1")
        drained = asyncio.create_task(batcher.drained())
        assert not drained.done()
        model.gate.set()
        await drained
        assert [int(row.probabilities.argmax()) for row in await asyncio.gather(*tasks)] == [0, 1, 2]


async def test_warm_up_comes_first_on_the_models_thread() -> None:
    threads: list[str] = []

    def note(*args: Any) -> Any:
        threads.append(threading.current_thread().name)
        return np.ones((1, 3), np.float32), np.ones(1, np.int64)

    sizes: list[int] = []
    batcher = Batcher(prepare, note, max_batch=4, max_queue=8, on_batch=sizes.append)
    await batcher.start(lambda: note())
    await batcher.submit(b"\0")
    await batcher.stop()
    assert len(threads) == 2 and len(set(threads)) == 1 and threads[0].startswith("model")
    assert sizes == [1]


async def test_a_start_is_told_when_the_batch_goes_to_the_model_and_not_before() -> None:
    model, started = GatedModel(), []
    model.shut()
    async with running(model, max_batch=1) as batcher:
        first, second = (
            asyncio.create_task(batcher.submit(bytes([level]), None, lambda level=level: started.append(level)))  # type: ignore[misc]
            for level in (1, 2)
        )
        await entered(model)
        await until(lambda: len(batcher._ready) == 1)
        assert started == [1]
        model.gate.set()
        await asyncio.gather(first, second)
        assert started == [1, 2]
