"""Start, wait, stop, and leaving a program in every way there is."""

import math
import sys
import threading
import time

import pytest
from programs import Gate, Program, pass_gate

import bocage
from bocage import Cown, quiesce, start, wait, when

pytestmark = pytest.mark.usefixtures("quiet")

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


# -------------------------------------------------------------------- wait


def test_without_a_runtime_there_is_nothing_to_wait_for() -> None:
    wait(30)
    assert wait() is None and quiesce() is None
    assert wait(stats=True) == quiesce(stats=True) == []
    assert wait(noticeboard=True) == quiesce(noticeboard=True) == {}
    both = wait(stats=True, noticeboard=True)
    assert both.stats == [] and both.noticeboard == {} and type(both).__name__ == "WaitResult"


def test_wait_stops_and_the_next_behavior_starts_again() -> None:
    for n in range(5):

        @when()
        def result(n=n):
            return n * 2

        wait(30)
        assert result.unwrap() == n * 2


def test_cowns_live_on_from_one_run_to_the_next() -> None:
    cown = Cown([])
    for n in range(5):

        @when(cown)
        def _(cown, n=n):
            cown.value.append(n)

        wait(30)
    assert cown.unwrap() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("end", [wait, quiesce])
def test_a_wait_that_expires_loses_nothing(end, gate: Gate) -> None:
    cown = Cown(0)

    @when(cown)
    def stalled(cown, end=gate.end):
        return pass_gate(end)

    for _ in range(10):

        @when(cown)
        def _(cown):
            cown.value += 1

    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"11 .*stalled"):
            end(0.05)
        assert time.monotonic() - began < 5
    with pytest.raises(TimeoutError):
        end(timeout=-1)
    with pytest.raises(TimeoutError):
        end(0)
    gate.open()
    end(30)
    assert cown.unwrap() == 10 and stalled.unwrap() is True


def test_bad_timeouts_are_refused() -> None:
    for wrong in ("1", [], object()):
        with pytest.raises(TypeError):
            wait(wrong)  # type: ignore[call-overload]
    with pytest.raises(ValueError):
        wait(math.nan)
    wait(math.inf)
    wait(1e12)
    wait(10**400)


def test_stats_are_one_dict_of_counters_for_each_worker() -> None:
    start(worker_count=2)
    for _ in range(20):

        @when()
        def _():
            return None

    stats = quiesce(30, stats=True)
    assert len(stats) == 2
    assert all(isinstance(count, int) for worker in stats for count in worker.values())
    assert len(wait(30, stats=True)) == 2


def test_several_threads_may_wait_at_once(gate: Gate) -> None:
    @when()
    def stalled(end=gate.end):
        return pass_gate(end)

    finished: list[object] = []

    def waits() -> None:
        quiesce(30)
        finished.append(stalled.unwrap() if not finished else None)

    threads = [threading.Thread(target=waits) for _ in range(4)]
    for thread in threads:
        thread.start()
    with pytest.raises(TimeoutError):
        quiesce(0)
    assert finished == []
    gate.open()
    for thread in threads:
        thread.join(30)
    assert len(finished) == 4


def test_threads_of_the_program_may_schedule() -> None:
    cown = Cown(0)

    def schedules() -> None:
        for _ in range(200):

            @when(cown)
            def _(cown):
                cown.value += 1

    start()
    threads = [threading.Thread(target=schedules) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    wait(30)
    assert cown.unwrap() == 800


def test_a_behavior_cannot_wait() -> None:
    @when()
    def refused():
        errors = []
        for call in (wait, quiesce, start):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))
        return errors

    wait(30)
    assert len(refused.unwrap()) == 3


# ------------------------------------------------------------------- start


def test_start_checks_its_arguments() -> None:
    for wrong in ("2", 1.5, True):
        with pytest.raises(TypeError):
            start(worker_count=wrong)  # type: ignore[arg-type]
    for wrong in (0, -1):
        with pytest.raises(ValueError):
            start(worker_count=wrong)


def test_start_can_be_called_again() -> None:
    start(worker_count=2)
    start(worker_count=2)
    start()
    assert len(wait(30, stats=True)) == 2


def test_worker_count_is_sensible() -> None:
    assert bocage.WORKER_COUNT >= 1
    assert isinstance(bocage.__version__, str) and bocage.__version__[0].isdigit()


def test_the_environment_says_how_many_workers(program: Program) -> None:
    script = "from bocage import start, wait\nstart()\nprint(len(wait(30, stats=True)))\n"
    for name in ("BOCAGE_WORKERS", "BOCPY_WORKERS"):
        program.environment[name] = "3"
        assert program.run("-c", script) == "3\n"
        for wrong in ("0", "-2", "many", ""):
            program.environment[name] = wrong
            program.run("-c", script, fails=True)
            assert "ValueError" in program.errors and name in program.errors
        del program.environment[name]


# ------------------------------------------------------------------- leaving


def test_a_program_that_never_waits_finishes_its_behaviors(program: Program) -> None:
    out = program.main(
        """
        import sys
        cown = Cown(0)
        for _ in range(100):
            @when(cown)
            def _(cown):
                cown.value += 1
        @when(cown)
        def _(cown):
            sys.stdout.write(f"done {cown.value}\\n")
            sys.stdout.flush()
            @when()
            def _():
                sys.stdout.write("and what it scheduled\\n")
                sys.stdout.flush()
        """
    )
    assert out == "done 100\nand what it scheduled\n"


def test_a_program_that_fails_finishes_its_behaviors_too(program: Program) -> None:
    out = program.main(
        """
        @when()
        def _():
            print("ran", flush=True)
        raise SystemExit(3)
        """,
        fails=True,
    )
    assert out == "ran\n"


def test_importing_alone_costs_no_threads(program: Program) -> None:
    out = program.run("-c", "import bocage, threading; c = bocage.Cown(1); print(threading.active_count(), c.unwrap())")
    assert out == "1 1\n"


def test_a_runtime_that_never_got_work_is_left_quietly(program: Program) -> None:
    program.main("start(worker_count=4)")
    assert program.errors == ""


LOOPS = """
from bocage import quiesce, wait, when
import sys
def spin():
    while True:
        pass
for _ in range(4):
    @when()
    def _(): spin()
try:
    print("ready", flush=True)
    {end}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    import os
    os._exit(0)
"""


LAST_WORDS = """
import atexit
# Registered last, so run first of all.
atexit.register(lambda: print("ready", flush=True))
"""


@posix
@pytest.mark.parametrize("end", ["wait()", "quiesce()", "wait(60)"])
def test_control_c_gets_out_of_wait_while_workers_run_python(program: Program, end: str) -> None:
    program.write("main.py", LOOPS.format(end=end))
    output, status = program.interrupt("main.py")
    assert (output, status) == ("interrupted\n", 0), program.errors


@posix
def test_control_c_loses_nothing(program: Program) -> None:
    program.write(
        "main.py",
        """
        import os, sys
        from bocage import Cown, wait, when
        end, other = os.pipe()
        cown = Cown(0)
        @when(cown)
        def first(cown):
            cown.value += int(os.read(end, 1))
        @when(cown)
        def second(cown):
            cown.value += 1
        try:
            print("ready", flush=True)
            wait()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        os.write(other, b"5")
        wait()
        print(cown.unwrap())
        """,
    )
    output, status = program.interrupt("main.py")
    assert (output, status) == ("interrupted\n6\n", 0), program.errors


@posix
def test_control_c_cuts_the_end_of_a_program_short(program: Program) -> None:
    # The first signal may come just before the behaviors are waited for.
    program.write("main.py", LOOPS.format(end="pass").replace('print("ready", flush=True)', "pass") + LAST_WORDS)
    output, status = program.interrupt("main.py", times=5)
    assert output == "" and status != 0, program.errors


@posix
def test_a_fork_gets_an_error_and_no_hang(program: Program) -> None:
    out = program.main(
        """
        import os, signal, warnings
        warnings.simplefilter("ignore")
        cown = Cown(1)
        @when(cown)
        def first(cown): cown.value += 1
        quiesce(30)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            try:
                @when(cown)
                def _(cown): pass
            except RuntimeError:
                os._exit(7)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        wait(30)
        print(cown.unwrap())
        """
    )
    assert out == "7\n2\n"


FORKS = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
def status_of_child(body):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        body()
        sys.exit(7)  # Through everything that runs at exit.
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@posix
def test_a_child_of_a_busy_program_gets_errors_from_everything_and_ends(program: Program) -> None:
    out = program.main(
        FORKS
        + """
cowns = [Cown([bytes(100_000), {n: str(n) for n in range(100)}]) for _ in range(8)]
def keep_busy():
    for _ in range(20):
        for cown in cowns:
            @when(cown)
            def _(cown): cown.value[1][len(cown.value[1])] = "more"
def errors():
    global cowns
    calls = [start, wait, quiesce, noticeboard, cowns[0].unwrap]
    calls += [lambda: Cown(1), lambda: notice_write("a", 1), lambda: when(cowns[0]), lambda: whencall(len, [], [[]])]
    for call in calls:
        try:
            call()
        except RuntimeError as error:
            assert "forked" in str(error)
        else:
            sys.exit(1)
    cowns = None
for _ in range(30):
    keep_busy()
    assert status_of_child(errors) == 7
    assert status_of_child(lambda: None) == 7
    quiesce(60)
wait(60)
print([len(cown.unwrap()[1]) for cown in cowns])
"""
    )
    assert out == f"{[100 + 30 * 20] * 8}\n"


@posix
def test_a_child_of_a_quiet_program_may_use_bocage(program: Program) -> None:
    out = program.main(
        FORKS
        + """
import multiprocessing
def square(n): return n * n
def runs():
    cown = Cown([1])
    @when(cown)
    def result(cown):
        cown.value.append(2)
        return square(3)
    wait(30)
    assert (result.unwrap(), cown.unwrap()) == (9, [1, 2])
def runs_and_forks():
    runs()
    assert status_of_child(runs) == 7
runs()
assert status_of_child(runs) == 7
assert status_of_child(runs_and_forks) == 7
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(square, range(5)))
runs()
"""
    )
    assert out == "[0, 1, 4, 9, 16]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(600)
def test_memory_stays_flat_over_two_hundred_runs(program: Program) -> None:
    out = program.main(
        """
        import gc, os
        class Thing:
            def __init__(self, n): self.n = list(range(n))
        TABLE = {n: str(n) for n in range(1000)}
        def used(): return len(TABLE)
        def resident():
            gc.collect()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        def round():
            cowns = [Cown(Thing(100)) for _ in range(8)]
            for cown in cowns:
                @when(cown)
                def result(cown):
                    cown.value = Thing(used() % 7)
                    return [1] * 100
            wait(60)
            assert result.unwrap() == [1] * 100
        start(worker_count=2)
        for _ in range(40): round()
        before = resident()
        for _ in range(200): round()
        print(before, resident())
        """
    )
    before, after = map(float, out.split())
    # 200 rounds of 2 workers: a leak of an interpreter, a module or a payload each would show as tens of MB.
    assert after - before < 12, (before, after)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(sys.version_info < (3, 14), reason="CPython itself loses memory with each interpreter")
def test_an_interpreter_that_ends_takes_everything_with_it(program: Program) -> None:
    out = program.main(
        """
        import gc, os, sys, textwrap
        from concurrent import interpreters
        TEXT = textwrap.dedent(f'''
            import sys
            sys.path[:] = {sys.path!r}
            from bocage import Cown, Matrix, when
            cown = Cown([1, {{2: 3}}])
            with cown:
                cown.value.append(Matrix(3, 3))
            try:
                @when(cown)
                def refused(cown, capture=lambda: cown): return sys
            except Exception: pass
            try:
                @when(cown)
                def refused(cown): return sys, cown
                print("scheduled")
            except RuntimeError: pass
        ''')
        def round():
            interpreter = interpreters.create()
            interpreter.exec(TEXT)
            interpreter.close()
        def resident():
            gc.collect()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        for _ in range(5): round()
        before = resident()
        for _ in range(20): round()
        print(resident() - before)
        """
    )
    # An interpreter of which something stays has some 5 MB.
    assert float(out) < 10
