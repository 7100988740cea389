"""What is left to do when the interpreter ends."""

import sys

import pytest
from programs import Program

# What is written there comes out of its buffer only if the module's namespace is freed.
OPEN = """
file = open("written.txt", "w")
file.write("freed")
"""


def is_freed(program: Program, text: str) -> bool:
    program.main(OPEN + text)
    return (program.folder / "written.txt").read_text() == "freed"


def test_a_namespace_with_a_behaviors_result_in_it_is_freed(program: Program) -> None:
    assert is_freed(
        program,
        """
@when()
def result(): return 1
wait()
""",
    )


def test_a_namespace_that_was_never_waited_for_is_freed(program: Program) -> None:
    assert is_freed(
        program,
        """
cown = Cown(1)
def doubled(n): return 2 * n
@when(cown)
def result(cown): return doubled(cown.value)
""",
    )


def test_a_namespace_whose_functions_pickle_for_it_is_freed(program: Program) -> None:
    assert is_freed(
        program,
        """
import copyreg
class Thing: pass
def reduction(thing): return Thing, ()
copyreg.pickle(Thing, reduction)
cown = Cown(Thing())
@when(cown)
def result(cown): return cown.value
wait()
""",
    )


FAILS = """
import atexit, sys
class Odd(Exception): pass
@when()
def plain(): raise ValueError("plain")
@when()
def odd(): raise Odd("odd")
@when()
def seen(): raise KeyError("seen")
"""


def test_exceptions_that_nobody_looked_at_are_reported_once(program: Program) -> None:
    program.main(
        FAILS
        + """
wait()
with seen: seen.value
"""
    )
    assert program.errors.count("ValueError: plain") == program.errors.count("Odd: odd") == 1
    assert "seen" not in program.errors


def test_they_are_reported_without_a_wait_too(program: Program) -> None:
    program.main(FAILS)
    for error in ("ValueError: plain", "Odd: odd", "KeyError: 'seen'"):
        assert program.errors.count(error) == 1


def test_the_programs_own_hook_gets_them_in_order(program: Program) -> None:
    out = program.main(
        FAILS
        + """
def hook(unraisable): print(type(unraisable.exc_value) is Odd, unraisable.exc_value, flush=True)
sys.unraisablehook = hook
wait()
with seen: seen.value
"""
    )
    assert out == "False plain\nTrue odd\n" or out == "True odd\nFalse plain\n"


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_child_leaves_them_to_its_parent(program: Program) -> None:
    program.main(
        FAILS
        + """
import os
wait()
child = os.fork()
if child == 0:
    del plain
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    )
    assert program.errors.count("ValueError: plain") == program.errors.count("Odd: odd") == 1


def test_the_report_says_where_it_was_raised(program: Program) -> None:
    program.main(FAILS)
    path = program.folder / "main.py"
    line = 1 + path.read_text().splitlines().index('def plain(): raise ValueError("plain")')
    report = program.errors[: program.errors.index("ValueError: plain")]
    assert f'File "{path}", line {line}, in plain\n' in report and "nobody looked at" in report


def test_a_thread_that_goes_on_scheduling_does_not_hold_the_exit_up(program: Program) -> None:
    out = program.main(
        """
        import threading
        cown = Cown(0)
        begun = threading.Event()
        def schedule():
            try:
                while True:
                    @when(cown)
                    def _(cown): cown.value += 1
                    begun.set()
            except RuntimeError as error:
                print(error, flush=True)
        threading.Thread(target=schedule, daemon=True).start()
        assert begun.wait(30)
        """
    )
    # The thread may have been stopped before it got to say so.
    assert out == "" or "shutdown" in out


def test_after_the_end_nothing_is_scheduled_any_more(program: Program) -> None:
    out = program.run(
        "-c",
        """if True:
        import atexit
        def late():
            for schedule in (lambda: when()(print), lambda: whencall(print, []), start):
                try:
                    schedule()
                except RuntimeError as error:
                    print(error)
        # Registered first, so run last of all.
        atexit.register(late)
        from bocage import start, when, whencall
        """,
    )
    assert out.count("shutdown") == 3


def test_what_still_runs_may_schedule_at_exit(program: Program) -> None:
    out = program.main(
        """
        import sys
        def step(cown, left):
            cown.value += 1
            if left:
                whencall(step, [cown], [left - 1])
            else:
                print(cown.value, flush=True)
        whencall(step, [Cown(0)], [200])
        """
    )
    assert out == "201\n"


def test_what_the_program_acquired_and_kept_is_released_at_exit(program: Program) -> None:
    out = program.main(
        """
        kept, lost, sleeping = Cown(1), Cown(2), Cown(3)
        kept.acquire()
        kept.value = 10
        lost.acquire()
        lost.value = open(__file__)
        def enters():
            with sleeping:
                yield
        generator = enters()
        next(generator)
        @when(kept, sleeping)
        def _(kept, sleeping): print(kept.value, sleeping.value, flush=True)
        @when(lost)
        def _(lost): print(type(lost.value).__name__, lost.exception, flush=True)
        """
    )
    assert sorted(out.splitlines()) == ["10 3", "TypeError True"]
    assert "TextIOWrapper" in program.errors


def test_a_program_that_reads_at_the_end_acquires_still(program: Program) -> None:
    out = program.run(
        "-c",
        """if True:
        import atexit
        def late():
            with cown: print(cown.value)
            print(cown.unwrap())
        # Registered first, so run last of all.
        atexit.register(late)
        from bocage import Cown, when
        cown = Cown(1)
        @when(cown)
        def _(cown): cown.value = 2
        """,
    )
    assert out == "2\n2\n"
