"""Waiting for one cown."""

import math
import sys
import threading
import time

import pytest
from programs import Gate, Program, pass_gate

from bocage import Cown, quiesce, start, wait, when

pytestmark = pytest.mark.usefixtures("quiet")


def test_it_waits_for_what_was_scheduled_and_takes_the_value(gate: Gate) -> None:
    cown = Cown(0)

    @when(cown)
    def slow(cown, end=gate.end):
        cown.value += pass_gate(end)
        return "done"

    for _ in range(10):

        @when(cown)
        def _(cown):
            cown.value += 1

    opener = threading.Timer(0.1, gate.open)
    opener.start()
    assert cown.result() == 11
    assert slow.result(30) == "done"
    assert cown.result() is None and slow.result() is None
    opener.join()


def test_it_waits_for_nothing_else(gate: Gate) -> None:
    start(worker_count=2)
    held, free = Cown(1), Cown(2)

    @when(held)
    def _(held, end=gate.end):
        pass_gate(end)

    @when(free)
    def _(free):
        free.value += 5

    assert free.result(30) == 7
    with pytest.raises(RuntimeError, match="in flight"):
        free.unwrap()
    gate.open()
    assert held.result(30) == 1


def test_it_needs_no_runtime() -> None:
    assert Cown("value").result(0) == "value"


def test_it_raises_what_a_behavior_raised_once() -> None:
    @when()
    def failed():
        raise LookupError("why")

    with pytest.raises(LookupError, match="why"):
        failed.result(30)
    assert failed.result(30) is None


@pytest.mark.parametrize("timeout", [0, -1, 0.05])
def test_a_timeout_consumes_nothing(timeout: float, gate: Gate) -> None:
    cown = Cown([1])

    @when(cown)
    def _(cown, end=gate.end):
        pass_gate(end)
        cown.value.append(2)

    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            cown.result(timeout=timeout)
        assert time.monotonic() - began < 5

    @when(cown)
    def later(cown):
        return len(cown.value)

    gate.open()
    assert later.result(30) == 2
    assert cown.result(30) == [1, 2]


def test_any_number_of_them_may_have_given_up(gate: Gate) -> None:
    cown = Cown(1)

    @when(cown)
    def _(cown, end=gate.end):
        pass_gate(end)

    for _ in range(100_000):
        with pytest.raises(TimeoutError):
            cown.result(0)
    gate.open()
    assert cown.result(60) == 1


def test_bad_timeouts_are_refused() -> None:
    cown = Cown(1)
    for wrong in ("1", [], True):
        with pytest.raises(TypeError):
            cown.result(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        cown.result(math.nan)
    assert cown.result(math.inf) == 1


def test_it_is_refused_where_it_could_wait_for_itself() -> None:
    cown = Cown(1)

    @when(cown)
    def refused(cown):
        try:
            cown.result()
        except RuntimeError as error:
            return str(error)

    assert "behavior" in refused.result(30)
    with cown:
        with pytest.raises(RuntimeError, match="acquired"):
            cown.result()
        assert cown.value == 1


def test_of_several_threads_one_gets_the_value(gate: Gate) -> None:
    cown = Cown("value")

    @when(cown)
    def _(cown, end=gate.end):
        pass_gate(end)

    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(cown.result(30))) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join(30)
    assert sorted(got, key=str) == [None] * 7 + ["value"]


def test_it_stands_in_the_queue_like_a_behavior() -> None:
    cown = Cown(0)
    for n in range(200):

        @when(cown)
        def _(cown, n=n):
            cown.value = n

        if n % 10 == 9:
            assert cown.result(30) == n
    quiesce(30)
    wait(30)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_control_c_gets_out_and_loses_nothing(program: Program) -> None:
    program.write(
        "main.py",
        """
        import os
        from bocage import Cown, wait, when
        end, other = os.pipe()
        cown = Cown(0)
        @when(cown)
        def _(cown):
            cown.value += int(os.read(end, 1))
        try:
            print("ready", flush=True)
            cown.result()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        os.write(other, b"5")
        print(cown.result())
        wait()
        """,
    )
    output, status = program.interrupt("main.py")
    assert (output, status) == ("interrupted\n5\n", 0), program.errors
