"""A keyed work queue: one reconcile at a time per key, wake-ups coalesced, failures retried with back-off."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K")

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 60.0


class KeyedQueue(Generic[K]):
    """Keys wait here until a worker takes them."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    def add(self, key: K) -> None:
        """Reconcile soon. A key that is being worked on is taken up once more afterwards; one that has failed waits
        for the
        end of its back-off, however often it is woken.
        """
        if key in self._failures and key in self._timers:
            return
        self._take(key)

    def _take(self, key: K) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._running:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Reconcile in a while, unless something wakes it earlier. The earlier of two timers stays."""
        due = asyncio.get_running_loop().time() + seconds
        timer = self._timers.get(key)
        if timer and timer.when() <= due:
            return
        if timer:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_at(due, self._take, key)

    async def work(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        """One worker, until cancelled.

        Args:
            reconcile: returns after how many seconds it wants to be called again, or None. Whatever it raises is logged
                and retried: one object must not stop the others.
        """
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._running.add(key)
            after: float | None = None
            try:
                after = await reconcile(key)
                self._failures.pop(key, None)
            except Exception:
                count = self._failures[key] = self._failures.get(key, 0) + 1
                after = _back_off(count)
                logger.exception("reconcile of %s failed for the %d. time; again in %.1f s", key, count, after)
            finally:
                self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                if key in self._failures and after is not None:
                    self.add_after(key, after)
                else:
                    self.add(key)
            elif after is not None:
                self.add_after(key, after)


def _back_off(failures: int) -> float:
    """Seconds, doubling, with jitter so that many keys do not come back at once."""
    doubled = FIRST_RETRY_SECONDS * float(2 ** min(failures - 1, 10))
    return min(doubled, LAST_RETRY_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311
