"""Bounded memories: what was found out a moment ago, and how much somebody has asked for. The time is passed in."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class TimedCache(Generic[V]):
    """Values that are forgotten after a time. Full, it drops what was used longest ago."""

    def __init__(self, lifetime: float, size: int) -> None:
        self._lifetime = lifetime
        self._size = size
        self._entries: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, now: float) -> V | None:
        """The value, unless its time is over."""
        until, value = self._entries.get(key, (now, None))
        if now < until:
            self._entries.move_to_end(key)
            return value
        self._entries.pop(key, None)
        return None

    def put(self, key: Hashable, value: V, now: float) -> None:
        """Remember a value from now on."""
        self._entries.pop(key, None)
        while len(self._entries) >= self._size:
            self._entries.popitem(last=False)
        self._entries[key] = (now + self._lifetime, value)

    def drop(self, unwanted: Callable[[V], bool]) -> None:
        """Forget every value of which this holds."""
        for key in [key for key, (_, value) in self._entries.items() if unwanted(value)]:
            del self._entries[key]


class RateLimit:
    """A token bucket for each key. Only the keys seen last are kept: a forgotten one starts full again."""

    def __init__(self, per_second: float, burst: int, size: int = 10_000) -> None:
        self._rate = per_second
        self._burst = float(burst)
        self._size = size
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Take one from the key's bucket. 0: taken; otherwise nothing was, and after so many seconds there is one."""
        level, at = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate
        while len(self._buckets) >= self._size:
            self._buckets.popitem(last=False)
        self._buckets[key] = (level - 1 if wait == 0 else level, now)
        return wait
