from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from gated_model import NAN, POISON, GatedModel

from cloud_server.model.batching import HEAVY_BYTES, Answered, Batcher, Draining, ModelFailed
from cloud_server.model.places import Overloaded
from cloud_server.model.queue_time import TooLate
from cloud_server.model.watch import CHECKS
from edge_sdk.errors import ImageError
from edge_sdk.types import Image, Region


def flat(level: int) -> Image:
    return np.full((8, 8, 3), level, np.uint8)


def prepare(data: bytes, region: Region | None = None) -> tuple[Image, ...]:
    """The first byte is the grey level, and with a region the second one that of a second look."""
    if data == b"broken":
        raise ImageError("broken")
    return tuple(map(flat, data[: 1 if region is None else 2]))


@asynccontextmanager
async def running(model: GatedModel, **options: Any) -> AsyncIterator[Batcher]:
    """A batcher; its one decoder keeps frames in their order."""
    batcher = Batcher(prepare, model.run, **{"max_batch": 4, "max_queue": 8, "decoders": 1, **options})
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

        first = send(0, "greedy")
        await entered(model)
        greedy = [send(1, "greedy") for _ in range(6)]
        await until(lambda: len(batcher._ready) == 6)
        with pytest.raises(Overloaded, match="6 frames wait"):
            await send(1, "greedy")
        quiet = [send(2, "quiet") for _ in range(3)]  # its share of a queue of 6 beside one other
        await until(lambda: all(task.done() for task in greedy[3:]))
        with pytest.raises(Overloaded, match="6 frames wait"):
            await send(2, "quiet")
        others = [send(4, caller) for caller in "abc"]
        for lost in (*greedy[1:], quiet[2]):
            with pytest.raises(Overloaded, match="this device has most of it"):
                await lost
        await until(lambda: len(batcher._ready) == 6)
        model.gate.set()
        await asyncio.gather(first, *others, *quiet[:2], greedy[0])
        assert batcher.waiting == 0
    assert sorted(model.batches[1]) == [1, 2, 4, 4]  # in turn


async def test_frames_that_wait_are_bounded_in_bytes_too() -> None:
    model = GatedModel()
    model.shut()
    async with running(model, max_queue=100, max_bytes=5) as batcher:

        def send(size: int, caller: str) -> asyncio.Task[Any]:
            return asyncio.create_task(batcher.submit(bytes([1] * size), caller=caller))

        first = send(4, "a")
        await entered(model)
        large, small = send(4, "a"), send(1, "b")
        await until(lambda: batcher.waiting == 2)
        with pytest.raises(Overloaded):
            await send(3, "b")
        another = send(1, "b")  # half of what there is
        with pytest.raises(Overloaded, match="has most of it"):
            await large
        model.gate.set()
        await asyncio.gather(first, small, another)


async def test_a_decoder_serves_callers_in_turn_and_drops_what_was_cancelled() -> None:
    gate, decoded = threading.Event(), []

    def slow(data: bytes, region: Region | None) -> tuple[Image, ...]:
        gate.wait()
        decoded.append(data[0])
        return (flat(0),)

    model = GatedModel()
    batcher = Batcher(slow, model.run, max_batch=32, max_queue=64, decoders=1)
    await batcher.start()
    tasks = [asyncio.create_task(batcher.submit(bytes([level]), caller="greedy")) for level in range(20)]
    quiet = [asyncio.create_task(batcher.submit(bytes([level]), caller="quiet")) for level in (100, 101)]
    await until(lambda: batcher.waiting == 22)
    for task in tasks[10:]:
        task.cancel()
    await asyncio.wait(tasks[10:])
    assert batcher.waiting == 12
    gate.set()
    await asyncio.gather(*tasks[:10], *quiet)
    await batcher.stop()
    assert set(decoded) == {*range(10), 100, 101}
    assert decoded.index(101) <= 9  # a turn is worth four small pictures


async def test_of_the_pictures_that_take_much_memory_one_is_decoded_at_a_time() -> None:
    model, inside, most, turn = GatedModel(), 0, 0, threading.Lock()

    def large() -> tuple[Image, ...]:
        nonlocal inside, most
        with turn:
            inside += 1
            most = max(most, inside)
        light_done.wait()
        with turn:
            inside -= 1
        return (flat(0),)

    def any_size(data: bytes, region: Region | None) -> tuple[Image, ...]:
        return large() if data[0] else prepare(data)

    light_done = threading.Event()
    batcher = Batcher(any_size, model.run, max_batch=4, max_queue=8, weigh=lambda data: data[0] * (HEAVY_BYTES + 1))
    await batcher.start()
    heavy = [asyncio.create_task(batcher.submit(b"\1", caller="greedy")) for _ in range(4)]
    await until(lambda: inside == 1)
    await batcher.submit(b"\0", caller="quiet")  # the other decoder is free for it
    light_done.set()
    await asyncio.gather(*heavy)
    await batcher.stop()
    assert most == 1


async def test_checks_tell_a_broken_model_from_broken_frames() -> None:
    model = GatedModel()
    samples = [1]
    async with running(model, sample=lambda: np.full((8, 8, 3), samples[0], np.uint8)) as batcher:
        with pytest.raises(ModelFailed):
            await batcher.submit(bytes([POISON]))
        await batcher.check()
        assert batcher.watch.is_alive
        samples[0] = POISON
        for _ in range(CHECKS):
            assert batcher.watch.is_alive
            await batcher.check()
        assert not batcher.watch.is_alive
        batcher.refuse(Draining("the model is broken"))
        with pytest.raises(Draining, match="broken"):
            await batcher.submit(b"\1")
        samples[0] = 1
        await batcher.check()  # goes on all the same
        assert batcher.watch.is_alive
        batcher.refuse(None)
        assert (await batcher.submit(b"\1")).probabilities.argmax() == 1


async def test_frames_of_a_model_that_hangs_are_given_up() -> None:
    model = GatedModel()
    model.shut()
    async with running(model) as batcher:
        hanging = submit(batcher, 0)
        await entered(model)
        waiting = submit(batcher, 1)
        await until(lambda: batcher.waiting == 1)
        batcher.give_up(Draining("again, later"))
        for task in (hanging, waiting):
            with pytest.raises(Draining, match="again, later"):
                await task
        assert (batcher.waiting, batcher.pending) == (0, 0)


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


async def test_checks_of_the_servers_own_are_no_batches_that_count() -> None:
    sizes: list[int] = []
    async with running(GatedModel(), on_batch=sizes.append) as batcher:
        await batcher.check()
        await submit(batcher, 1)
    assert sizes == [1]


def submit_twice(batcher: Batcher, first: int, second: int) -> asyncio.Task[Any]:
    return asyncio.create_task(batcher.submit(bytes([first, second]), region=Region(0, 0, 1, 1, 1.0)))


async def test_two_looks_are_one_frame_with_their_mean_and_the_work_of_both() -> None:
    model, sizes = GatedModel(), list[int]()
    model.shut()
    async with running(model, max_batch=4, on_batch=sizes.append) as batcher:
        first = submit(batcher, 0)
        await entered(model)
        rest = [
            submit_twice(batcher, 0, 1),
            submit(batcher, 2),
            submit_twice(batcher, 1, 1),
            submit_twice(batcher, 2, 0),
        ]
        await until(lambda: len(batcher._ready) == 4)
        model.gate.set()
        answers = await asyncio.gather(first, *rest)
    assert [len(batch) for batch in model.batches] == [1, 5, 2]  # the last frame of a batch may be looked at twice
    assert sizes == [1, 3, 1]
    assert [answer.macs for answer in answers] == [1000, 2000, 1000, 2000, 2000]
    assert [answer.probabilities.tolist() for answer in answers] == [
        [1, 0, 0],
        [0.5, 0.5, 0],
        [0, 0, 1],
        [0, 1, 0],
        [0.5, 0, 0.5],
    ]
    assert all(answer.probabilities.dtype == np.float32 for answer in answers)


async def test_a_frame_of_which_one_look_fails_has_failed() -> None:
    model = GatedModel()
    async with running(model) as batcher:
        results = await asyncio.gather(
            submit_twice(batcher, 1, NAN), submit_twice(batcher, POISON, 1), submit(batcher, 2), return_exceptions=True
        )
    assert isinstance(results[0], ModelFailed) and isinstance(results[1], ModelFailed)
    assert isinstance(results[2], Answered)


async def test_a_device_whose_frames_are_looked_at_twice_gets_no_more_of_the_model() -> None:
    model = GatedModel()
    model.shut()
    async with running(model, max_batch=4, max_queue=16) as batcher:
        first = submit(batcher, 0)
        await entered(model)
        region = Region(0, 0, 1, 1, 1.0)
        twice = [asyncio.create_task(batcher.submit(b"\1\1", caller="b", region=region)) for _ in range(4)]
        once = [asyncio.create_task(batcher.submit(b"\2", caller="c")) for _ in range(4)]
        await until(lambda: len(batcher._ready) == 8)
        model.gate.set()
        await asyncio.gather(first, *twice, *once)
    assert all(batch.count(1) <= batch.count(2) + 2 for batch in model.batches[1:3])


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
    await batcher.start(lambda: note() and None)
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


async def test_a_frame_that_cannot_be_answered_in_time_is_refused_at_once() -> None:
    model, now = GatedModel(), [0.0]
    async with running(model, max_queue=100, max_queue_s=5.0, clock=lambda: now[0]) as batcher:
        for size in (1, 4):  # a run takes a second, whatever its size
            for _ in range(9):
                batcher.pace.times.add(size, 1.0)
        model.shut()
        tasks = [submit(batcher, 0)]
        await entered(model)
        with pytest.raises(TooLate, match=r"take about 2.0 s, longer than its device waits for it \(1.5 s\)"):
            await batcher.submit(b"\1", wait_s=1.5)
        tasks.append(asyncio.create_task(batcher.submit(b"\1", wait_s=2.5)))
        tasks += [submit(batcher, 2) for _ in range(15)]
        await until(lambda: batcher.waiting == 16)
        with pytest.raises(TooLate, match=r"about 6.0 s, longer than this server lets a frame wait \(5 s\)"):
            await batcher.submit(b"\1")
        tasks.append(asyncio.create_task(batcher.submit(b"\1", caller="another")))  # two are served before it
        await until(lambda: batcher.waiting == 17)
        model.gate.set()
        await asyncio.gather(*tasks)


async def test_a_frame_that_has_waited_too_long_costs_no_run() -> None:
    model, now = GatedModel(), [0.0]
    model.shut()
    async with running(model, clock=lambda: now[0]) as batcher:
        first = submit(batcher, 0)
        await entered(model)
        late, patient = asyncio.create_task(batcher.submit(b"\1", wait_s=1.0)), submit(batcher, 2)
        await until(lambda: len(batcher._ready) == 2)
        now[0] = 1.5
        model.gate.set()
        await asyncio.gather(first, patient)
        with pytest.raises(TooLate, match="longer than its device waits"):
            await late
    assert model.batches == [[0], [2]]


async def test_batches_of_a_model_that_is_slow_to_begin_stay_whole() -> None:
    model, decoding = GatedModel(), threading.Semaphore(0)

    def slow(data: bytes, region: Region | None) -> tuple[Image, ...]:
        decoding.acquire()
        return prepare(data)

    batcher = Batcher(slow, model.run, max_batch=8, max_queue=20, decoders=1, clock=lambda: 0.0)
    await batcher.start()
    for size, took_s in ((1, 3600.0), (8, 3600.1)):
        for _ in range(50):
            batcher.pace.times.add(size, took_s)
    batcher.decoders.one_s = 1.0
    tasks = [submit(batcher, level) for level in range(4)]
    for _ in range(4):
        decoding.release()
    await asyncio.gather(*tasks)
    await batcher.stop()
    assert [len(batch) for batch in model.batches] == [4]


async def test_how_long_runs_take_is_known_from_the_start() -> None:
    batcher = Batcher(prepare, GatedModel().run, max_batch=8, max_queue=100)
    await batcher.start(lambda: (4, {1: 1.0, 2: 1.5, 4: 2.0}))
    try:
        assert [batcher.pace.times.of(size) for size in (1, 2, 3, 4)] == [1.0, 1.5, 1.75, 2.0]
        assert batcher._ready.max_batch == 4
    finally:
        await batcher.stop()
