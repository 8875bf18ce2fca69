"""The keyed work queue."""

import asyncio
from collections.abc import Awaitable, Callable

from finetune_operator.queue import KeyedQueue, _back_off


async def run(queue: KeyedQueue[str], reconcile: Callable[[str], Awaitable[float | None]], seconds: float) -> None:
    workers = [asyncio.create_task(queue.work(reconcile)) for _ in range(3)]
    await asyncio.sleep(seconds)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_one_at_a_time_per_key_and_wake_ups_coalesce() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    running, most, calls = 0, 0, 0

    async def reconcile(key: str) -> None:
        nonlocal running, most, calls
        running, calls = running + 1, calls + 1
        most = max(most, running)
        if calls == 1:
            for _ in range(10):
                queue.add(key)
        await asyncio.sleep(0.01)
        running -= 1

    for _ in range(5):
        queue.add("a")
    await run(queue, reconcile, 0.2)
    assert (most, calls) == (1, 2)


async def test_failure_is_retried_and_does_not_stop_others() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    calls: list[str] = []

    async def reconcile(key: str) -> None:
        calls.append(key)
        if key == "bad" and calls.count("bad") == 1:
            raise RuntimeError("once")

    queue.add("bad")
    queue.add("good")
    await run(queue, reconcile, 1.0)
    assert calls.count("bad") == 2
    assert calls.count("good") == 1


async def test_failing_key_is_not_hot_however_often_it_is_woken() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    calls = 0

    async def reconcile(key: str) -> None:
        nonlocal calls
        calls += 1
        queue.add(key)
        raise RuntimeError("always")

    queue.add("a")
    await run(queue, reconcile, 0.8)
    assert calls <= 3


async def test_key_woken_between_failures_still_waits_for_its_back_off() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    calls = 0

    async def reconcile(key: str) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError("always")

    async def wake() -> None:
        while True:
            queue.add("a")
            await asyncio.sleep(0.01)

    waking = asyncio.create_task(wake())
    await run(queue, reconcile, 0.8)
    waking.cancel()
    assert calls <= 3


def test_back_off_has_a_limit_however_often_a_key_has_failed() -> None:
    assert _back_off(1) <= 0.6
    assert 48 <= _back_off(5000) <= 72


async def test_timer_and_the_earlier_of_two() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    calls = 0

    async def reconcile(key: str) -> None:
        nonlocal calls
        calls += 1

    queue.add_after("a", 0.05)
    queue.add_after("a", 60)
    await run(queue, reconcile, 0.3)
    assert calls == 1
