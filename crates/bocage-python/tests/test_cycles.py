"""Cowns that hold cowns: chains and rings are freed, and what is in use stays."""

import gc
import os
import random
import sys
from collections.abc import Iterable, Iterator

import pytest

from bocage import Cown, quiesce, wait, when

pytestmark = pytest.mark.usefixtures("quiet")


class Freed:
    """Counts cowns that went away: each holds one with an exception that nobody looked at."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, unraisable) -> None:
        assert isinstance(unraisable.exc_value, LookupError), unraisable
        self.count += 1

    def witness(self) -> Cown:
        @when()
        def failed():
            raise LookupError

        return failed


@pytest.fixture
def freed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Freed]:
    freed = Freed()
    monkeypatch.setattr(sys, "unraisablehook", freed)
    yield freed
    wait(60)


def put(cown: Cown, value: object) -> None:
    with cown:
        cown.value = value


def test_rings_are_freed_when_the_runtime_stops(freed: Freed) -> None:
    for length in (1, 2, 3, 10):
        ring = [Cown(None) for _ in range(length)]
        for at, cown in enumerate(ring):
            put(cown, {"next": [ring[(at + 1) % length]], "witness": freed.witness()})
    quiesce(30)
    del ring, cown
    assert freed.count == 0
    wait(30)
    assert freed.count == 1 + 2 + 3 + 10


def test_rings_made_without_a_runtime_are_freed_by_wait(freed: Freed) -> None:
    witness = freed.witness()
    wait(30)
    cown = Cown(witness)
    put(cown, (cown, witness))
    del cown, witness
    assert freed.count == 0
    wait(30)
    assert freed.count == 1


def test_rings_through_results_and_exceptions_are_freed(freed: Freed) -> None:
    class Carries(Exception):
        pass

    holder = Cown(None)

    @when(holder)
    def returned(holder, witness=freed.witness()):
        return [holder, witness]

    other = Cown(None)

    @when(other)
    def failed(other, witness=freed.witness()):
        raise ValueError(other, witness)

    quiesce(30)
    put(holder, returned)
    put(other, failed)
    with failed:
        assert isinstance(failed.value, ValueError)
    del holder, returned, other, failed
    gc.collect()
    wait(30)
    assert freed.count == 2


def test_what_can_be_reached_stays(freed: Freed) -> None:
    first, second, third = Cown(None), Cown(None), Cown(None)
    put(first, second)
    put(second, [third, freed.witness()])
    put(third, [second, 7])
    del second, third
    for _ in range(3):
        wait(30)
    assert freed.count == 0
    with first:
        second = first.value
    with second:
        third = second.value[0]
    with third:
        assert third.value == [second, 7]
    del second, third
    wait(30)
    assert freed.count == 0
    del first
    wait(30)
    assert freed.count == 1


def test_a_ring_that_a_waiting_program_owns_stays() -> None:
    first, second = Cown(None), Cown(None)
    put(first, second)
    put(second, first)
    with first:
        del second
        wait(30)
        second = first.value
    with second:
        assert second.value == first


def visible_from(cowns: Iterable[Cown]) -> set[int]:
    seen: set[int] = set()
    todo = list(cowns)
    while todo:
        with todo.pop() as cown:
            n, targets, _witness = cown.value
            if n not in seen:
                seen.add(n)
                todo += targets
    return seen


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_keeps_what_is_reachable_and_loses_the_rest(seed: int, freed: Freed) -> None:
    chance = random.Random(seed)
    count = chance.randrange(1, 40)
    edges = {n: [chance.randrange(count) for _ in range(chance.randrange(3))] for n in range(count)}
    cowns = [Cown(None) for _ in range(count)]
    for n, targets in edges.items():
        put(cowns[n], (n, [cowns[t] for t in targets], freed.witness()))
    kept = {n: cowns[n] for n in range(count) if chance.random() < 0.1}
    reachable: set[int] = set()
    todo = list(kept)
    while todo:
        n = todo.pop()
        if n not in reachable:
            reachable.add(n)
            todo += edges[n]
    del cowns
    wait(30)
    assert freed.count == count - len(reachable)
    assert visible_from(kept.values()) == reachable
    kept.clear()
    wait(30)
    assert freed.count == count


def test_cycles_in_use_by_workers_survive_collections() -> None:
    # Other threads may wait, and so collect, while this program's behaviors take rings apart and mend them.
    ring = [Cown([None, n]) for n in range(6)]
    for at, cown in enumerate(ring):
        put(cown, [ring[(at + 1) % 6], at])
    for _ in range(50):
        for at in range(6):

            @when(ring[at], ring[(at + 1) % 6])
            def _(one, two):
                following, number = one.value
                assert following == two
                one.value = None
                one.value = [following, number]

        wait(60)
    for at, cown in enumerate(ring):
        with cown:
            assert cown.value == [ring[(at + 1) % 6], at]


@pytest.mark.parametrize("inside", [lambda cown: cown, lambda cown: [cown], lambda cown: ValueError(cown)])
def test_a_chain_of_any_length_is_dropped(inside, freed: Freed) -> None:
    cown = Cown([freed.witness()])
    quiesce(30)
    for _ in range(100_000):
        cown = Cown(inside(cown))

    @when()
    def _(cown=cown):
        return None

    del cown
    wait(60)
    assert freed.count == 1


def test_a_ring_of_any_length_is_freed(freed: Freed) -> None:
    first = cown = Cown(None)
    for _ in range(100_000):
        cown = Cown([cown])
    put(first, [cown, freed.witness()])
    del first, cown
    wait(60)
    assert freed.count == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat_over_rounds_that_make_rings() -> None:
    def resident() -> float:
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def make_rings() -> None:
        for _ in range(20):
            one, two = Cown(None), Cown(None)

            @when(one, two)
            def result(one, two):
                one.value = [two, bytes(50_000)]
                two.value = {one: bytes(50_000)}
                return one

        wait(60)

    for _ in range(5):
        make_rings()
    before = resident()
    for _ in range(50):
        make_rings()
    # 100 MB went through the rings.
    assert resident() - before < 12
