"""What a wait that runs out of time says of what is left."""

import asyncio
import re
import time

import pytest
from programs import Gate, pass_gate

from bocage import Cown, quiesce, start, wait, when

pytestmark = pytest.mark.usefixtures("quiet")

ENDS = pytest.mark.parametrize("end", [wait, quiesce])


def expired(end, timeout: float = 0.05) -> str:
    """Wait in vain; returns what it says, with the last part of each name."""
    with pytest.raises(TimeoutError) as raised:
        end(timeout)
    return short(str(raised.value))


def short(told: str) -> str:
    """Leave the functions out around those that are named."""
    return re.sub(r"\w+\.<locals>\.", "", told)


def of(cown: Cown) -> str:
    """The cown as messages name it."""
    return re.findall("0x[0-9a-f]+", repr(cown))[0]


def begun(*cowns: Cown, gate: Gate) -> None:
    """Schedule a behavior that stands at the gate, and wait until it is there."""

    @when(list(cowns))
    def first(cowns, end=gate.end):
        return pass_gate(end)

    until = time.monotonic() + 30
    while "running: 'first'" not in expired(quiesce, 0.001):
        assert time.monotonic() < until


@ENDS
@pytest.mark.parametrize("timeout", [0, 0.05])
def test_what_runs_waits_and_is_ready_is_named_with_its_cowns(end, timeout: float, gate: Gate) -> None:
    start(worker_count=1)
    c, d = Cown(0), Cown(0)
    begun(c, gate=gate)
    for _ in range(2):

        @when(c, d)
        def second(c, d):
            pass

    @when(d)
    def third(d):
        pass

    @when()
    def fourth():
        pass

    told = expired(end, timeout)
    assert told.startswith(f"5 behaviors are not done yet; running: 'first' on cown {of(c)}; waiting: "), told
    assert told.count(f"'second' on cowns {of(c)} {of(d)}") == 2, told
    assert f"'third' on cown {of(d)}" in told and "'fourth' on no cown" in told, told
    assert "more" not in told and "holds" not in told, told
    gate.open()
    wait(30)


@ENDS
def test_five_are_named_and_the_others_counted(end, gate: Gate) -> None:
    c = Cown(0)
    begun(c, gate=gate)
    for _ in range(10):

        @when(c)
        def later(c):
            pass

    told = expired(end)
    assert told.startswith("11 behaviors are not done yet; running: 'first'"), told
    assert told.count(f"'later' on cown {of(c)}") == 4, told
    assert "; and 6 more;" in told, told
    gate.open()
    wait(30)


@ENDS
def test_what_waits_for_a_cown_that_is_acquired_is_named_with_who_holds_it(end) -> None:
    c, other = Cown(0), Cown(0)
    with c:
        for _ in range(8):

            @when(c, other)
            def later(c, other):
                c.value += 1

        told = expired(end)
        assert told.startswith("8 behaviors are not done yet; waiting: 'later' on cowns"), told
        assert told.count(f"'later' on cowns {of(c)} {of(other)}") == 5, told
        assert "; and 3 more;" in told, told
        assert told.count(f"acquire() or a `with` block holds cown {of(c)};") == 1, told
        assert f"holds cown {of(other)}" not in told, told
    end(30)
    assert c.unwrap() == 8


def test_what_waits_for_an_await_is_named_with_who_holds_the_cown(gate: Gate) -> None:
    c = Cown(7)
    begun(c, gate=gate)

    async def awaits() -> None:
        turn = asyncio.ensure_future(c)
        # Gets in line.
        await asyncio.sleep(0)

        @when(c)
        def later(c):
            pass

        gate.open()
        # Keeps the loop from hearing that the turn has come.
        until = time.monotonic() + 30
        while "running" in (told := expired(quiesce)) or "an await" not in told:
            assert time.monotonic() < until, told
        assert told.startswith(f"1 behavior is not done yet; waiting: 'later' on cown {of(c)}; an await "), told
        assert f"holds cown {of(c)};" in told, told
        assert await turn == 7

    asyncio.run(awaits())
    wait(30)


def test_few_cowns_of_a_behavior_of_many_are_named(gate: Gate) -> None:
    cowns = [Cown(n) for n in range(8)]
    begun(*cowns, gate=gate)

    @when(cowns, cowns[0])
    def all_of_them(cowns, again):
        pass

    told = expired(quiesce)
    named = " ".join(map(of, cowns[:5]))
    assert f"running: 'first' on cowns {named} and 3 more; waiting: 'all_of_them' on cowns {named} and 3 more;" in told
    gate.open()
    wait(30)


def test_waits_that_expire_lose_nothing_while_behaviors_come_and_go() -> None:
    start(worker_count=2)
    cowns = [Cown(0) for _ in range(3)]
    for n in range(3000):

        @when(cowns[n % 3], cowns[(n + 1) % 3])
        def step(a, b):
            a.value += 1
            b.value += 1

        if n % 10 == 0:
            try:
                quiesce(0)
            except TimeoutError as error:
                assert re.match(r"\d+ behaviors? (is|are) not done yet;", str(error))
                assert set(re.findall("'(.*?)' on", short(str(error)))) <= {"step"}
    wait(60)
    assert sum(cown.unwrap() for cown in cowns) == 6000
