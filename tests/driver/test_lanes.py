"""Jobs in lanes: one at a time for each name, in order, the newest of those that wait."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from threading import Event, Lock

from meghdwar.driver.lanes import Lanes


def test_one_at_a_time_for_each_name_and_in_order() -> None:
    lanes, lock = Lanes(4), Lock()
    working: Counter[str] = Counter()
    most: Counter[str] = Counter()
    done: dict[str, list[int]] = {}

    def job(name: str, number: int) -> Callable[[], None]:
        def work() -> None:
            with lock:
                working[name] += 1
                working["all"] += 1
                most[name] = max(most[name], working[name])
                most["all"] = max(most["all"], working["all"])
            time.sleep(random.uniform(0, 0.002))  # noqa: S311
            with lock:
                working[name] -= 1
                working["all"] -= 1
                done.setdefault(name, []).append(number)

        return work

    for number in range(200):
        name = f"arena-{number % 7}"
        assert lanes.put(name, job(name, number))
        time.sleep(0.0005)
    assert lanes.wait(10)
    assert most.pop("all") > 1
    assert set(most.values()) == {1}
    assert all(numbers == sorted(numbers) for numbers in done.values())
    assert {numbers[-1] for numbers in done.values()} == set(range(193, 200))  # the newest of each was worked
    lanes.close()


def test_the_newest_of_those_that_wait() -> None:
    lanes, go, done = Lanes(1), Event(), []
    lanes.put("arena", lambda: bool(go.wait(5)) and None)
    for number in range(5):
        lanes.put("arena", lambda number=number: done.append(number))  # type: ignore[misc]
    assert lanes.waiting == 1
    assert lanes.has("arena")
    go.set()
    assert lanes.wait(5)
    assert done == [4]
    assert not lanes.has("arena")
    lanes.close()


def test_closing_forgets_what_has_not_begun_and_lets_the_rest_go_on() -> None:
    lanes, began, go, done = Lanes(1), Event(), Event(), []

    def first() -> None:
        began.set()
        go.wait(5)
        done.append("first")

    lanes.put("arena", first)
    lanes.put("other", lambda: done.append("other"))
    assert began.wait(5)
    assert lanes.close() == 1
    assert not lanes.put("third", lambda: done.append("third"))
    assert not lanes.wait(0.05)
    go.set()
    assert lanes.wait(5)
    assert done == ["first"]
