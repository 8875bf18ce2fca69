"""Memories that stay small and end in time."""

import pytest

from finetune_operator.endpoint.limits import RateLimit, TimedCache


def test_a_value_is_known_until_its_time_is_over() -> None:
    cache: TimedCache[str] = TimedCache(60, 10)
    cache.put(b"a", "value", 0)
    assert cache.get(b"a", 59.9) == "value"
    assert cache.get(b"a", 60) is None
    assert len(cache) == 0


def test_a_full_cache_drops_what_was_used_longest_ago() -> None:
    cache: TimedCache[int] = TimedCache(60, 2)
    cache.put("a", 1, 0)
    cache.put("b", 2, 0)
    cache.get("a", 1)
    cache.put("c", 3, 1)
    assert [cache.get(key, 1) for key in "abc"] == [1, None, 3]


def test_values_are_dropped_by_what_they_are() -> None:
    cache: TimedCache[int] = TimedCache(60, 10)
    for key in range(6):
        cache.put(key, key, 0)
    cache.drop(lambda value: value % 2 == 0)
    assert [cache.get(key, 0) for key in range(6)] == [None, 1, None, 3, None, 5]


def test_a_bucket_empties_and_fills_again() -> None:
    limit = RateLimit(per_second=5, burst=3)
    assert [limit.take("pod", 0) for _ in range(3)] == [0, 0, 0]
    assert limit.take("pod", 0) == pytest.approx(0.2)
    assert limit.take("pod", 0.1) == pytest.approx(0.1)
    assert limit.take("pod", 0.2) == 0
    assert [limit.take("pod", 100) > 0 for _ in range(4)] == [False, False, False, True]


def test_each_key_has_its_own_bucket_and_only_the_last_ones_are_kept() -> None:
    limit = RateLimit(per_second=1, burst=1, size=2)
    assert [limit.take(key, 0) for key in ("a", "b", "c", "a")] == [0, 0, 0, 0]
    assert limit.take("c", 0) == 1
