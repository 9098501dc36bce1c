"""What is kept, for how long, and that it is made once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from nstbatch.runtime.cache.lru_cache import LruCache


def test_what_is_kept_is_not_made_again():
    kept, made = LruCache(2), []
    for key in "abacab":  # b goes for c, then comes back for c
        assert kept.get(key, lambda key=key: made.append(key) or key.upper()) == key.upper()
    assert made == ["a", "b", "c", "b"]
    assert len(kept) == 2


def test_nothing_is_left_when_it_is_cleared():
    kept, made = LruCache(2), []
    for _ in range(2):
        kept.get("a", lambda: made.append("a"))
        kept.clear()
    assert made == ["a", "a"]
    assert len(kept) == 0


def test_room_is_made_before_the_new_one():
    kept, sizes = LruCache(1), []
    for key in "ab":
        kept.get(key, lambda: sizes.append(len(kept)))
    assert sizes == [0, 0]


def test_what_fails_is_not_kept():
    kept = LruCache(1)
    for answer in (ZeroDivisionError, 7):
        try:
            assert kept.get("a", lambda answer=answer: 1 / 0 if answer != 7 else 7) == 7
        except answer:
            assert len(kept) == 0


def test_threads_that_want_the_same_wait_for_one_of_them():
    kept, made, all_there = LruCache(2), [], threading.Barrier(4)

    def make():
        made.append(threading.get_ident())
        time.sleep(0.05)
        return len(made)

    def ask(_):
        all_there.wait()
        return kept.get("a", make)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [1] * 4
