"""Waiting for a cown in a coroutine."""

import asyncio
import contextlib
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from programs import Gate, Program, pass_gate

from bocage import Cown, quiesce, when

pytestmark = pytest.mark.usefixtures("quiet")

type Run = Callable[[Coroutine[Any, Any, Any]], Any]


class WithoutReaders(asyncio.SelectorEventLoop):
    """A loop that can't watch descriptors, as Windows' proactor loops can't."""

    def add_reader(self, *_: Any) -> Any:
        raise NotImplementedError


def threads_of_loops() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "bocage-await"]


@pytest.fixture(params=["watched", "by a thread"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine, for a minute at most, in a loop of either kind."""
    factory = WithoutReaders if request.param == "by a thread" else None

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(60):
                return await coroutine

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(bounded())

    yield run
    for thread in threads_of_loops():
        thread.join(10)
        assert not thread.is_alive()


async def value_of(cown: Cown[Any]) -> Any:
    return await cown


def held_up(cown: Cown[Any], gate: Gate) -> Cown[Any]:
    @when(cown)
    def holding(cown, end=gate.end):
        pass_gate(end)

    return holding


def add(cown: Cown[int], count: int) -> None:
    for _ in range(count):

        @when(cown)
        def _(cown):
            cown.value += 1


async def later(gate: Gate, count: int = 1) -> None:
    """Open the gate when every other coroutine had its go."""
    for _ in range(3):
        await asyncio.sleep(0)
    gate.open(count)


def test_it_waits_for_what_was_scheduled_and_takes_the_value(run: Run, gate: Gate) -> None:
    cown = Cown(0)
    held_up(cown, gate)
    add(cown, 10)

    async def main() -> None:
        opening = asyncio.create_task(later(gate))
        assert await cown == 10
        assert await cown is None
        await opening

    run(main())
    assert cown.result(30) is None


def test_the_loop_goes_on_meanwhile(run: Run, gate: Gate) -> None:
    cown = Cown("value")
    held_up(cown, gate)

    async def main() -> None:
        waiting = asyncio.create_task(value_of(cown))
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert not waiting.done()
        gate.open()
        assert await waiting == "value"

    run(main())


def test_a_free_cown_needs_no_runtime_and_no_suspension() -> None:
    async def main() -> None:
        iterator = Cown("value").__await__()
        with pytest.raises(StopIteration) as stop:
            next(iterator)
        assert stop.value.value == "value"

    asyncio.run(main())


def test_it_raises_what_a_behavior_raised_once(run: Run) -> None:
    @when()
    def failed():
        raise LookupError("why")

    async def main() -> None:
        with pytest.raises(LookupError, match="why"):
            await failed
        assert await failed is None

    run(main())


def test_it_takes_its_own_turn_in_the_queue(run: Run, gate: Gate) -> None:
    cown = Cown(0)
    held_up(cown, gate)
    add(cown, 1)

    async def main() -> None:
        first = asyncio.create_task(value_of(cown))
        await asyncio.sleep(0)

        @when(cown)
        def after(cown):
            before, cown.value = cown.value, "later"
            return before

        second = asyncio.create_task(value_of(cown))
        await later(gate)
        assert await first == 1
        assert await after is None
        assert await second == "later"

    run(main())


def test_cancelling_consumes_nothing(run: Run, gate: Gate) -> None:
    cown = Cown(0)
    held_up(cown, gate)

    async def main() -> None:
        waiting = [asyncio.create_task(value_of(cown)) for _ in range(10)]
        await asyncio.sleep(0)
        add(cown, 5)
        for task in waiting:
            task.cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in outcomes)
        gate.open()
        assert await cown == 5

    run(main())


def test_cancelling_consumes_nothing_when_the_turn_came_already(run: Run, gate: Gate) -> None:
    """The token is here, the coroutine was told, and is cancelled before it goes on."""
    cown = Cown(0)
    held = held_up(cown, gate)

    async def main() -> None:
        future: asyncio.Future[None]
        iterator = cown.__await__()
        future = next(iterator)
        gate.open()
        await held
        while not future.done():
            await asyncio.sleep(0.001)

        @when(cown)
        def after(cown):
            cown.value += 1
            return cown.value

        # What comes after waits for the coroutine.
        with pytest.raises(TimeoutError):
            quiesce(0)
        with pytest.raises(asyncio.CancelledError):
            iterator.throw(asyncio.CancelledError())
        assert await after == 1
        assert await cown == 1

    run(main())


def test_a_task_that_is_cancelled_at_that_moment_consumes_nothing(run: Run, gate: Gate) -> None:
    async def main() -> None:
        for round in range(200):
            cown = Cown(round)
            held_up(cown, gate)
            waiting = asyncio.create_task(value_of(cown))
            await asyncio.sleep(0)
            gate.open()
            for _ in range(round % 7):
                await asyncio.sleep(0)
            waiting.cancel()
            try:
                assert await waiting == round
                assert await cown is None
            except asyncio.CancelledError:
                assert await cown == round

    run(main())


def test_a_timeout_consumes_nothing(run: Run, gate: Gate) -> None:
    cown = Cown([1])
    held_up(cown, gate)

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await cown
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(cown, 0.02)
        gate.open()
        assert await cown == [1]

    run(main())


def test_several_at_once_get_it_in_turn(run: Run, gate: Gate) -> None:
    cown = Cown("value")
    held_up(cown, gate)

    async def main() -> None:
        results = await asyncio.gather(*(value_of(cown) for _ in range(50)), later(gate))
        assert results == ["value"] + [None] * 50

    run(main())


def test_a_thousand_at_once(run: Run) -> None:
    cowns = [Cown(n) for n in range(1000)]
    for cown in cowns:
        add(cown, 1)

    async def main() -> None:
        assert await asyncio.gather(*cowns) == list(range(1, 1001))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(value_of(cown)) for cown in cowns]
        assert all(task.result() is None for task in tasks)

    run(main())


def test_a_thousand_of_one_cown_are_cancelled_by_a_group_that_fails(run: Run, gate: Gate) -> None:
    cown = Cown(0)
    held_up(cown, gate)

    async def failing() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def main() -> None:
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for _ in range(1000):
                    group.create_task(value_of(cown))
                group.create_task(failing())
        add(cown, 1)
        gate.open()
        assert await cown == 1

    run(main())


def test_behaviors_and_coroutines_take_turns(run: Run) -> None:
    async def main() -> None:
        cown = Cown(0)
        for n in range(300):
            add(cown, 1)
            assert await cown == n + 1

            @when(cown)
            def _(cown, n=n):
                cown.value = n + 1

    run(main())


def test_loops_in_several_threads(gate: Gate) -> None:
    cown = Cown("value")
    held_up(cown, gate)
    got: list[Any] = []

    async def main() -> None:
        async with asyncio.timeout(60):
            got.append(await cown)
            mine = Cown(0)
            for _ in range(50):
                add(mine, 2)
                value = await mine

                @when(mine)
                def _(mine, value=value):
                    mine.value = value

            got.append(await mine)

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join(60)
    assert sorted(got, key=str) == [100] * 6 + [None] * 5 + ["value"]


def test_it_is_refused_where_it_could_wait_for_itself() -> None:
    cown = Cown(1)

    @when(cown)
    def refused(cown):
        import asyncio

        async def main():
            await cown

        try:
            asyncio.run(main())
        except RuntimeError as error:
            return str(error)

    assert "behavior" in refused.result(30)

    async def main() -> None:
        with cown:
            with pytest.raises(RuntimeError, match="acquired"):
                await cown
            assert cown.value == 1
        assert await cown == 1

    asyncio.run(main())


def test_without_a_loop_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        next(Cown(1).__await__())


def test_a_coroutine_that_is_closed_gives_its_turn_up(gate: Gate) -> None:
    cown = Cown(1)
    held_up(cown, gate)

    async def main() -> None:
        iterator = cown.__await__()
        next(iterator)
        iterator.close()
        dropped = cown.__await__()
        next(dropped)
        del dropped
        gate.open()
        assert await cown == 1

    asyncio.run(main())


@pytest.mark.parametrize("loop_class", [asyncio.SelectorEventLoop, WithoutReaders])
def test_what_a_forgotten_loop_left_suspended_gives_its_turn_up(
    loop_class: type[asyncio.SelectorEventLoop], gate: Gate
) -> None:
    cown = Cown(1)
    held_up(cown, gate)
    loop = loop_class()
    # The messages alone: the rest of the context would keep the task.
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    task = loop.create_task(value_of(cown))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gone = weakref.ref(loop), weakref.ref(task)
    del loop, task
    gate.open()
    deadline = time.monotonic() + 30
    while any(each() is not None for each in gone) and time.monotonic() < deadline:
        for thread in threads_of_loops():
            thread.join(30)
        gc.collect()
    assert [each() for each in gone] == [None, None]
    assert cown.result(30) == 1
    assert len(complaints) == 1 and "destroyed" in complaints[0]


def test_a_loop_may_stop_and_go_on(gate: Gate) -> None:
    for loop_class in (asyncio.SelectorEventLoop, WithoutReaders):
        with contextlib.closing(loop_class()) as loop:
            cown = Cown("value")
            held_up(cown, gate)
            task = loop.create_task(value_of(cown))
            loop.run_until_complete(asyncio.sleep(0))
            gate.open()
            assert loop.run_until_complete(asyncio.wait_for(task, 60)) == "value"


def test_loops_leave_no_descriptors() -> None:
    if sys.platform == "win32":
        pytest.skip("descriptors of POSIX")
    import os

    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/dev/fd"))

    async def main() -> None:
        assert await Cown(1) == 1

    asyncio.run(main())
    before = descriptors()
    for _ in range(20):
        asyncio.run(main())
    assert descriptors() <= before


@pytest.mark.parametrize("base", ["asyncio.SelectorEventLoop", "WithoutReaders"])
def test_an_await_that_nobody_resumes_holds_up_no_exit(program: Program, base: str) -> None:
    output = program.main(
        f"""
        import asyncio, sys
        class WithoutReaders(asyncio.SelectorEventLoop):
            def add_reader(self, *_):
                raise NotImplementedError
        async def value_of(cown):
            return await cown
        async def nothing():
            pass
        if __name__ == "__main__":
            loop = {base}()
            loop.set_exception_handler(lambda *_: None)
            cown, started = Cown(0), Cown(0)
            with started:
                @when(cown, started)
                def _(cown, started):
                    cown.value = 1
                task = loop.create_task(value_of(cown))
                loop.run_until_complete(nothing())
                loop.run_until_complete(nothing())
                @when(cown)
                def _(cown):
                    print("ran", cown.value, flush=True)
            print("end", flush=True)
        """
    )
    assert output == "end\nran 1\n", program.errors


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_control_c_gets_out_and_loses_nothing(program: Program) -> None:
    program.write(
        "main.py",
        """
        import asyncio, os
        from bocage import Cown, wait, when
        end, other = os.pipe()
        cown = Cown(0)
        @when(cown)
        def _(cown):
            cown.value += int(os.read(end, 1))
        async def main():
            print("ready", flush=True)
            await cown
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        os.write(other, b"5")
        print(cown.result())
        wait()
        """,
    )
    output, status = program.interrupt("main.py")
    assert (output, status) == ("interrupted\n5\n", 0), program.errors
