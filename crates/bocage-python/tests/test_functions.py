"""Where a behavior may be written, and which globals it sees."""

import importlib.util
import subprocess
import sys
import zipfile

import pytest
from programs import Program

BODY = """
from bocage import Cown, wait, when
import math
STEP = 2
def helper(x): return x * STEP
class Thing:
    def __init__(self, n): self.n = n
    def scaled(self): return helper(self.n)
cown = Cown(Thing(4))
@when(cown)
def f(cown): return helper(math.floor(3.5)), cown.value.scaled(), __name__, __package__
def inside(k):
    @when(cown)
    def g(cown, k=k):
        def nested(): return helper(k)
        return nested(), (lambda: Thing(k).n)()
    return g
g = inside(5)
@when(f, g)
def h(f, g): return f.value + g.value
wait(60)
print(h.unwrap())
"""


def answer(package: object = None) -> str:
    return f"(6, 8, '__main__', {package!r}, 10, 5)\n"


def test_a_script(program: Program) -> None:
    program.write("main.py", BODY)
    assert program.run("main.py") == answer()
    assert program.errors == ""


def test_a_script_in_another_folder(program: Program) -> None:
    program.write(
        "deep/main.py", "import near\n" + BODY + "\n@when()\ndef i(): return near.K\nwait(60)\nprint(i.unwrap())\n"
    )
    program.write("deep/near.py", "K = 7\n")
    assert program.run("deep/main.py") == answer() + "7\n"


def test_a_package_run_with_m(program: Program) -> None:
    program.write("pkg/__init__.py", "")
    program.write("pkg/near.py", "K = 7\n")
    program.write(
        "pkg/__main__.py",
        "from . import near\n" + BODY + "\n@when()\ndef i(): return near.K\nwait(60)\nprint(i.unwrap())\n",
    )
    assert program.run("-m", "pkg") == answer("pkg") + "7\n"


def test_a_zip_application(program: Program) -> None:
    with zipfile.ZipFile(program.folder / "app.zip", "w") as archive:
        archive.writestr("__main__.py", BODY)
    assert program.run("app.zip") == answer("")


def test_a_command(program: Program) -> None:
    assert program.run("-c", BODY) == answer()
    assert program.run("-Wignore", "-Xutf8", "-c", BODY, "-c", "more") == answer()


def test_standard_input(program: Program) -> None:
    assert program.run("-", text=BODY) == answer()


def test_the_prompt(program: Program) -> None:
    text = """
        from bocage import Cown, wait, when
        from dataclasses import dataclass
        STEP = 2
        def helper(x): return x * STEP

        @dataclass
        class Point:
            x: int = 1
            def moved(self): return Point(self.x + STEP)

        class Derived(Point):
            def moved(self): return super().moved()

        cown = Cown(Derived(5))
        @when(cown)
        def f(cown): return helper(3), cown.value.moved().x

        wait(60)
        print(f.unwrap(), cown.unwrap().x)
        def helper(x): return "redefined"

        @when()
        def f(p=Point(7)): return helper(1), p.x

        wait(60)
        print(f.unwrap())
    """
    out = program.run("-i", "-q", text=text)
    assert "(6, 7) 5" in out and "('redefined', 7)" in out, out + program.errors


def test_exec_in_a_namespace_of_its_own(program: Program) -> None:
    out = program.main(
        """
        text = "STEP = 3\\ndef helper(x): return STEP * x\\n@when()\\ndef f(): return helper(2)\\n"
        names = {"when": when}
        exec(text, names)
        exec(text.replace("3", "4"))
        wait(60)
        print(names["f"].unwrap(), f.unwrap())
        """
    )
    assert out == "6 8\n"


def test_modules_with_equal_bodies_keep_their_own_globals(program: Program) -> None:
    module = """
        from bocage import when
        NAME = __name__
        def schedule():
            @when()
            def f(): return NAME, __name__, __package__, __file__.endswith("one.py")
            return f
        """
    program.write("one.py", module)
    program.write("pkg/__init__.py", "")
    program.write("pkg/two.py", module)
    out = program.main(
        "import one, pkg.two\nfirst, second = one.schedule(), pkg.two.schedule()\nwait(60)\nprint(first.unwrap(), second.unwrap())"
    )
    assert out == "('one', 'one', '', True) ('pkg.two', 'pkg.two', 'pkg', False)\n"


def test_a_method_and_a_class_body(program: Program) -> None:
    out = program.main(
        """
        class Account:
            def __init__(self, amount): self.cown = Cown(amount)
            def deposit(self, amount):
                @when(self.cown)
                def done(cown, amount=amount):
                    cown.value += amount
                    return Account.double(cown.value)
                return done
            @staticmethod
            def double(x): return 2 * x
        class Other:
            @when()
            def inner(): return "in a class body"
        done = Account(5).deposit(3)
        wait(60)
        print(done.unwrap(), Other.inner.unwrap())
        """
    )
    assert out == "16 in a class body\n"


# ------------------------------------------------------------------- globals


def test_the_top_level_of_a_program_runs_once(program: Program) -> None:
    out = program.main(
        """
        import sys
        sys.stderr.write("ran\\n")
        start(worker_count=3)
        def helper(): return 1
        if __name__ == "__main__":
            sys.stderr.write("guarded\\n")
            cowns = [Cown(0) for _ in range(20)]
            for cown in cowns:
                @when(cown)
                def _(cown): cown.value = helper()
            wait(60)
            print(sum(cown.unwrap() for cown in cowns))
        """
    )
    assert out == "20\n"
    assert program.errors == "ran\nguarded\n"


def test_a_global_has_the_value_of_the_moment_of_scheduling(program: Program) -> None:
    out = program.main(
        """
        cown = Cown([])
        for LEVEL in range(5):
            @when(cown)
            def _(cown): cown.value.append(LEVEL)
        SETTINGS = {"a": 1}
        def read(): return SETTINGS["a"]
        @when()
        def first(): return read()
        wait(60)
        SETTINGS = {"a": 2}
        @when()
        def second(): return read()
        wait(60)
        print(cown.unwrap(), first.unwrap(), second.unwrap())
        """
    )
    assert out == "[0, 1, 2, 3, 4] 1 2\n"


def test_a_global_cown_is_that_cown_in_every_module(program: Program) -> None:
    program.write(
        "shared.py",
        """
        from bocage import Cown, when
        TOTAL = Cown(0)
        def schedule():
            @when()
            def _():
                def nested():
                    @when(TOTAL)
                    def _(total): total.value += 1
                nested()
        """,
    )
    out = program.main(
        """
        import warnings
        warnings.simplefilter("ignore")
        import shared
        from shared import TOTAL
        own = Cown(0)
        def bump():
            @when(own, TOTAL)
            def _(own, total):
                own.value += 1
                total.value += 1
        for _ in range(10):
            shared.schedule()
            @when()
            def _(): bump()
        wait(60)
        print(own.unwrap(), TOTAL.unwrap())
        """
    )
    assert out == "10 20\n"


def test_a_cown_made_by_a_worker_that_imports_a_module_gives_a_warning(program: Program) -> None:
    program.write("shared.py", "from bocage import Cown\n\nTOTAL = Cown(0)\ndef use(): return 1\n")
    out = program.main(
        """
        import shared
        @when()
        def f(): return shared.use()
        wait(60)
        print(f.unwrap())
        """
    )
    assert out == "1\n"
    assert "shared.py:3: RuntimeWarning" in program.errors


def test_a_global_that_cannot_cross_is_made_by_its_assignment(program: Program) -> None:
    out = program.main(
        """
        import logging, threading
        from collections import namedtuple
        lock = threading.Lock()
        log = logging.getLogger("mine")
        Point = namedtuple("Point", "x y")
        @when()
        def f():
            with lock:
                return Point(1, 2), log.name
        wait(60)
        print(f.unwrap())
        """
    )
    assert out == "(Point(x=1, y=2), 'mine')\n"


def test_a_global_that_cannot_cross_and_has_no_assignment_is_refused(program: Program) -> None:
    program.main(
        """
        import threading
        for lock in [threading.Lock()]: pass
        @when()
        def f(): return lock
        """,
        fails=True,
    )
    assert "TypeError" in program.errors and "'lock'" in program.errors


@pytest.mark.parametrize("how", ["script", "-c", "-"])
def test_an_undefined_global_is_refused_at_the_decorator(program: Program, how: str) -> None:
    text = "from bocage import when\n@when()\ndef f():\n    return undefned.attribute\n"
    if how == "script":
        program.write("main.py", text)
        program.run("main.py", fails=True)
    elif how == "-c":
        program.run("-c", text, fails=True)
    else:
        program.run("-", text=text, fails=True)
    assert "NameError: behavior 'f' uses the global 'undefned'" in program.errors


def test_instances_of_the_programs_classes_travel_both_ways(program: Program) -> None:
    out = program.main(
        """
        import enum
        from dataclasses import dataclass, field
        class Color(enum.Enum):
            RED = 1
        @dataclass(frozen=True)
        class Config:
            color: Color
            names: tuple = ()
        class Mine(dict):
            def __init__(self): super().__init__(made=True)
        class Failure(Exception): pass
        cown = Cown(Config(Color.RED, ("a",)))
        @when(cown)
        def f(cown):
            assert cown.value.color is Color.RED
            return [Mine(), Config(Color.RED)]
        @when()
        def g(): raise Failure("mine")
        wait(60)
        mine, config = f.unwrap()
        try:
            g.unwrap()
        except Failure as error:
            print(type(mine) is Mine, config == Config(Color.RED), cown.unwrap(), error)
        """
    )
    assert out == "True True Config(color=<Color.RED: 1>, names=('a',)) mine\n"


def test_decorators_below_when(program: Program) -> None:
    out = program.main(
        """
        import functools
        def twice(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return [function(*args, **kwargs) for _ in range(2)]
            return wrapper
        K = 4
        cown = Cown(1)
        extra = twin = Cown(9)
        @when(cown)
        @twice
        def f(cown, extra=extra):
            cown.value += K
            return cown.value, extra == twin
        wait(60)
        print(f.unwrap())
        """
    )
    assert out == "[(5, True), (9, True)]\n"


def test_a_decorator_that_hides_the_function_is_refused(program: Program) -> None:
    program.main(
        """
        class Hidden:
            def __init__(self, function): self.function = function
            def __call__(self, cown): return self.function(cown)
        @when(Cown(1))
        @Hidden
        def f(cown): pass
        """,
        fails=True,
    )
    assert "TypeError" in program.errors and "functools.wraps" in program.errors


# ------------------------------------------------------- what workers refuse


def refusing_module() -> str:
    """An extension module of this Python that refuses sub-interpreters."""
    for name in ("readline", "_testsinglephase", "_tkinter", "_curses"):
        if importlib.util.find_spec(name) is not None and refuses(name):
            return name
    pytest.skip("this Python has no extension module that refuses sub-interpreters")


def refuses(name: str) -> bool:
    code = f"""
import sys
try:
    import _interpreters as interpreters
    run = lambda i, c: interpreters.exec(i, c)
except ImportError:
    import _xxsubinterpreters as interpreters
    run = lambda i, c: interpreters.run_string(i, c)
made = interpreters.create()
found = run(made, "try:\\n import {name}\\nexcept ImportError: pass\\nelse: raise SystemError('accepted')")
sys.exit(0 if found is None else 1)
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_a_module_that_refuses_workers_gives_import_error_at_the_behavior(program: Program) -> None:
    name = refusing_module()
    program.write("user.py", f"import {name}\ndef use(): return {name}.__name__\n")
    out = program.main(
        f"""
        import {name}
        import user
        def helper(deep): return {name}.__name__ if deep else "fine"
        @when()
        def fine(): return helper(False)
        @when()
        def by_global(): return helper(True)
        @when()
        def by_statement():
            import {name}
        @when()
        def by_module(): return user.use()
        wait(60)
        print(fine.unwrap())
        for cown in (by_global, by_statement, by_module):
            try:
                cown.unwrap()
            except ImportError as error:
                text = "\\n".join([str(error), *getattr(error, "__notes__", [])])
                print({name!r} in text or "user" in text, "do the work that needs it in the main program" in text)
        """
    )
    assert out == "fine\n" + "True True\n" * 3


# ------------------------------------------------------------ parked workers


def test_a_programs_modules_are_new_in_every_run(program: Program) -> None:
    program.write("counted.py", "STATE = []\ndef grow():\n    STATE.append(1)\n    return len(STATE)\n")
    out = program.main(
        """
        import counted
        own = []
        class Kept:
            calls = []
        def grow():
            Kept.calls.append(1)
            return len(Kept.calls), counted.grow()
        start(worker_count=1)
        for _ in range(3):
            @when()
            def first(): return grow()
            @when()
            def second(): return grow()
            wait(60)
            print(sorted([first.unwrap(), second.unwrap()]))
            start(worker_count=1)
        """
    )
    assert out == "[(1, 1), (2, 2)]\n" * 3


def test_a_module_that_changed_between_runs_is_loaded_anew(program: Program) -> None:
    program.write("changing.py", "def value(): return 1\n")
    out = program.main(
        """
        import sys, importlib, pathlib
        import changing
        @when()
        def f(): return changing.value()
        wait(60)
        pathlib.Path("changing.py").write_text("def value(): return 'two'\\n")
        importlib.invalidate_caches()
        importlib.reload(changing)
        @when()
        def g(): return changing.value()
        wait(60)
        print(f.unwrap(), g.unwrap())
        """
    )
    assert out == "1 two\n"


def test_a_path_that_the_program_adds_is_known_to_workers(program: Program) -> None:
    program.write("elsewhere/far.py", "K = 3\n")
    out = program.main(
        """
        import sys
        sys.path.append("elsewhere")
        import far
        @when()
        def f(): return far.K, sys.argv[0].endswith("main.py")
        wait(60)
        print(f.unwrap())
        """
    )
    assert out == "(3, True)\n"
