"""What a worker needs of a program's functions, without the native half.

Each program runs with a stand-in for the runtime (``standin/``) that sends
every behavior to a new process, where it runs at once; so what these programs
print was computed from what travelled.
"""

import textwrap
import zipfile
from pathlib import Path

import pytest
from programs import Program

HERE = Path(__file__).parent


class Carried(Program):
    """A program whose behaviors are carried by the stand-in."""

    def main(self, text: str, fails: bool = False) -> str:
        self.write("main.py", "from bocage import Cown, when, whencall\n" + textwrap.dedent(text))
        return self.run("main.py", fails=fails)


@pytest.fixture
def program(tmp_path: Path) -> Carried:
    return Carried(tmp_path, HERE / "standin")


# ------------------------------------------------- globals of the main module


def test_definitions_are_rebuilt_and_other_globals_have_their_value_of_the_moment(program: Carried) -> None:
    out = program.main(
        """
        import math
        from os import path as p

        print("started")
        LIMIT = 3
        LIMIT += 4

        class Shape:
            sides = LIMIT
            def area(self): return helper(self.sides)

        def helper(x): return x * LIMIT

        @when()
        def f():
            return Shape().area(), math.floor(2.5), p.basename("a/b"), LIMIT

        print(f.value)
        LIMIT = "rebound"

        @when()
        def f():
            return LIMIT

        print(f.value)
        """
    )
    assert out == "started\n(49, 2, 'b', 7)\nrebound\n"
    assert "started" not in program.errors


def test_the_programs_start_does_not_run_in_a_worker(program: Carried) -> None:
    out = program.main(
        """
        import sys
        sys.stderr.write("top level\\n")
        def work(): return __name__, __file__.endswith("main.py"), __doc__
        if __name__ == "__main__":
            import colorsys
            sys.stderr.write("guarded\\n")
            def local(): return colorsys.rgb_to_hsv(0, 0, 0) + (level,)
            class Local:
                def get(self): return level
            level = 5
            @when()
            def f(): return work(), local(), Local().get()
            print(f.value, f.exception)
        """
    )
    assert out == "(('__main__', True, None), (0.0, 0.0, 0, 5), 5) False\n"
    assert program.errors.count("top level") == program.errors.count("guarded") == 1


def test_definitions_under_if_and_try_are_kept(program: Carried) -> None:
    out = program.main(
        """
        import sys
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from nowhere import Nothing
        try:
            import nowhere
        except ImportError:
            nowhere = None
            print("not for workers")
        if sys.version_info >= (3, 12):
            def pick(): return "new"
        else:
            def pick(): return "old"
        try:
            from json import dumps
            FAST = True
        except ImportError:
            FAST = False

        @when()
        def f() -> "Nothing": return pick(), nowhere, dumps([1]), FAST
        print(f.value)
        """
    )
    assert out == "not for workers\n('new', None, '[1]', True)\n"
    assert program.errors == ""


def test_behaviors_never_run_again_in_a_worker(program: Carried) -> None:
    out = program.main(
        """
        import bocage as boc
        schedule = boc.when
        import bocage

        @boc.when()
        def a(): return 1
        @schedule()
        def b(): return 2
        class Holder:
            @bocage.when()
            def inner(): return 3
            def method(self): return 4
        try:
            @when()
            def c(): return Holder().method()
        except ImportError:
            pass
        print(a.value, b.value, c.value, Holder.inner.value)
        """
    )
    assert out == "1 2 4 3\n"


def test_a_global_cown_is_sent_and_its_assignment_not_evaluated(program: Carried) -> None:
    program.write("shared.py", "from bocage import Cown\nCELL = Cown(1)\n")
    out = program.main(
        """
        from shared import CELL
        own = Cown(2)
        marks = (CELL.mark, own.mark)
        @when()
        def result(): return 7
        @when()
        def f(): return (CELL.mark, own.mark) == marks, result.value
        print(f.value)
        """
    )
    assert out == "(True, 7)\n"


def test_a_value_that_cannot_cross_is_made_by_its_plain_assignment(program: Carried) -> None:
    out = program.main(
        """
        import threading
        from collections import namedtuple
        from typing import Generic, TypeVar

        def make(kind): return kind()
        KIND = "Lock"
        lock = make(getattr(threading, KIND))
        a, b = 1, threading.Lock()
        a = 10
        Point = namedtuple("Point", "x y")
        T = TypeVar("T")
        class Box(Generic[T]):
            def __init__(self, content: T): self.content = content
        origin = Point(0, 0)
        double = lambda x: 2 * x

        @when()
        def f():
            with lock, b:
                return a, origin, Point(1, 2), Box[int](3).content, double(4)
        print(f.value)
        """
    )
    assert out == "(10, Point(x=0, y=0), Point(x=1, y=2), 3, 8)\n"


def test_a_value_that_cannot_cross_and_has_no_assignment_is_refused_by_name(program: Carried) -> None:
    program.main(
        """
        import threading
        for lock in [threading.Lock()]: pass
        @when()
        def f(): return lock
        """,
        fails=True,
    )
    assert "TypeError: the global 'lock' cannot be sent" in program.errors


def test_a_definition_may_need_values_and_values_definitions(program: Carried) -> None:
    out = program.main(
        """
        from dataclasses import dataclass, field
        BASE = 2
        @dataclass
        class Config:
            size: int = BASE
            tags: list = field(default_factory=list)
        DEFAULT = Config(5)
        def use(config=DEFAULT): return config.size
        REGISTRY = {}
        def register(cls):
            REGISTRY[cls.__name__] = cls
            return cls
        @register
        class Plugin(Config): pass

        @when()
        def f(value=Plugin(9)): return use(), value.size, type(value) is Plugin, sorted(REGISTRY), DEFAULT
        print(f.value)
        """
    )
    assert out == "(5, 9, True, ['Plugin'], Config(size=5, tags=[]))\n"


def test_what_is_defined_below_is_found_if_it_is_a_definition(program: Carried) -> None:
    out = program.main(
        """
        @when()
        def f(): return below(2)
        print(f.value)
        def below(x): return x * 2

        @when()
        def g(): return LATER
        LATER = 1
        print(g.value.splitlines()[-1])
        """
    )
    assert out == "4\nNameError: name 'LATER' is not defined\n"


def test_an_undefined_global_is_refused_with_its_name(program: Carried) -> None:
    program.main(
        """
        @when()
        def f():
            def nested(): return undefned.attribute
            return nested()
        """,
        fails=True,
    )
    assert "NameError: behavior 'f' uses the global 'undefned'" in program.errors


def test_attributes_imports_and_annotations_are_no_globals(program: Carried) -> None:
    program.write(
        "main.py",
        """
        from __future__ import annotations
        from bocage import when
        @when()
        def f():
            import json.decoder as d
            class A:
                x: "Missing" = 1
                y = x
                def m(self) -> Missing: return self.nothing_like_it
                z = m
            def g(a: Missing) -> Missing: return a
            return g(A.y), d.JSONDecoder.__name__
        print(f.value)
        def set_it():
            global made
            made = 3
            return made
        @when()
        def g(): return set_it()
        print(g.value)
        """,
    )
    out = program.run("main.py")
    assert out == "(1, 'JSONDecoder')\n3\n"


def test_an_import_that_fails_is_raised_by_the_behavior_that_uses_it(program: Carried) -> None:
    program.write(
        "picky.py",
        "import sys\nif 'be_worker' in ''.join(sys.orig_argv): raise ImportError('module x does not support loading in subinterpreters')\ndef use(): return 1\nclass Base: pass\nBase.__module__ = __name__\n",
    )
    out = program.main(
        """
        import picky
        from picky import use as used, Base
        class Derived(Base): pass
        def helper(deep):
            return picky.use() if deep else "fine"
        @when()
        def f(): return helper(False)
        print(f.value)
        @when()
        def g(): return helper(True)
        print(g.value)
        @when()
        def h(): return Derived()
        print(h.value)
        """
    )
    assert out.startswith("fine\n")
    assert (
        out.count("ImportError: 'picky' of the main program is not available in a worker: ImportError: module x") == 1
    )
    assert "ImportError: 'Derived' of the main program is not available" in out
    assert out.count("do the work that needs it in the main program") == 2


def test_a_traceback_shows_the_programs_file_and_lines(program: Carried) -> None:
    out = program.main(
        """


        def deep():
            raise ValueError("here")  # this very line
        @when()
        def f():
            return deep()  # called here
        print(f.value)
        """
    )
    assert 'main.py", line 6, in deep' in out and "# this very line" in out
    assert 'main.py", line 9, in f' in out and "# called here" in out


# ------------------------------------------------------- where programs live


BODY = """
from bocage import when
import math
STEP = 2
def helper(x): return x * STEP
class Thing:
    def __init__(self, n): self.n = n
@when()
def f(): return helper(math.floor(3.5)), Thing(4).n, __name__, __package__
print(f.value, f.exception)
@when()
def g():
    raise KeyError("what")  # marked
print(g.value)
"""


def test_a_script(program: Carried) -> None:
    program.write("main.py", BODY)
    out = program.run("main.py")
    assert out.startswith("(6, 4, '__main__', None) False") and "# marked" in out


def test_a_package_run_with_m(program: Carried) -> None:
    program.write("pkg/__init__.py", "")
    program.write("pkg/near.py", "VALUE = 5\n")
    program.write(
        "pkg/__main__.py", "from . import near\n" + BODY + "\n@when()\ndef h(): return near.VALUE\nprint(h.value)\n"
    )
    out = program.run("-m", "pkg")
    assert out.startswith("(6, 4, '__main__', 'pkg') False") and "# marked" in out and out.endswith("5\n")


def test_a_zip_application(program: Carried) -> None:
    with zipfile.ZipFile(program.folder / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "from inner import K\n" + BODY)
        archive.writestr("inner.py", "K = 1\n")
    out = program.run("app.zip")
    assert out.startswith("(6, 4, '__main__', '') False") and "# marked" in out


@pytest.mark.parametrize("options", [["-c"], ["-X", "utf8", "-W", "ignore", "-Bc"], ["-Wignore", "-c"]])
def test_a_command(program: Carried, options: list[str]) -> None:
    out = program.run(*options, BODY, "-c", "not this")
    assert out.startswith("(6, 4, '__main__', None) False") and "KeyError: 'what'" in out
    assert program.run(
        options[0] + BODY if options == ["-c"] else options[0], *options[1:], *([] if options == ["-c"] else [BODY])
    ).startswith("(6, 4")


def test_standard_input(program: Carried) -> None:
    out = program.run("-", text=BODY)
    assert out.startswith("(6, 4, '__main__', None) False") and "KeyError: 'what'" in out


def test_the_prompt(program: Carried) -> None:
    text = """
        from bocage import when
        import math
        from dataclasses import dataclass
        STEP = 2
        def helper(x): return x * STEP

        @dataclass
        class Point:
            x: int = 1
            def moved(self): return Point(self.x + STEP)

        class Derived(Point):
            def moved(self): return super().moved()

        point = Derived(5)
        @when()
        def f(): return helper(math.floor(3.5)), point.moved().x, type(point).__name__

        print(f.value, f.exception)
        def helper(x): return "redefined"

        @when()
        def f(p=Point(7)): return helper(1), p

        print(f.value)
        @when()
        def f(): return undefned

    """
    out = program.run("-i", "-q", text=text)
    assert "(6, 7, 'Derived') False" in out, program.errors
    assert "('redefined', Point(x=7))" in out
    assert "NameError: behavior 'f' uses the global 'undefned'" in program.errors


def test_exec_in_a_namespace_of_its_own(program: Carried) -> None:
    out = program.main(
        """
        text = '''
        from bocage import when
        STEP = 3
        def helper(x): return STEP * x
        @when()
        def f(): return helper(2)
        answer = f.value
        '''
        import textwrap
        one, other = {}, {"__name__": "made_up"}
        exec(textwrap.dedent(text), one)
        exec(textwrap.dedent(text), other)
        exec(textwrap.dedent(text).replace("3", "4"))
        print(one["answer"], other["answer"], answer)
        """
    )
    assert out == "6 6 8\n"


def test_modules_keep_their_own_globals(program: Carried) -> None:
    module = """
        from bocage import when
        NAME = __name__
        def schedule():
            @when()
            def f(): return NAME, __name__, __file__.endswith("one.py"), __package__
            return f.value
        """
    program.write("one.py", module)
    program.write("pkg/__init__.py", "")
    program.write("pkg/two.py", module)
    out = program.main("import one, pkg.two\nprint(one.schedule(), pkg.two.schedule())\n")
    assert out == "('one', 'one', True, '') ('pkg.two', 'pkg.two', False, 'pkg')\n"


def test_a_module_that_is_not_on_the_path_is_loaded_from_its_file(program: Carried) -> None:
    program.write("plugins/extra.py", "K = 3\ndef body(): return K, __name__\n")
    out = program.main(
        """
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("plugins_of.extra", "plugins/extra.py")
        extra = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(extra)
        print(whencall(extra.body, [], []).value)
        """
    )
    assert out == "(3, 'plugins_of.extra')\n"


def test_a_name_that_only_a_tool_can_make_is_sent_along(program: Carried) -> None:
    program.write(
        "lib.py",
        """
        import sys, types
        from bocage import when
        import math
        globals()["@math"] = math
        def f(): return MATH.floor(2.5)
        code = f.__code__.replace(co_names=tuple("@math" if n == "MATH" else n for n in f.__code__.co_names))
        if "be_worker" in "".join(sys.orig_argv): del globals()["@math"]
        body = types.FunctionType(code, globals(), "f")
        """,
    )
    out = program.main("import lib\nprint(when()(lib.body).value)\n")
    assert out == "2\n"


# ----------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def outer(x, y):\n    @when()\n    def f(): return x + y\nouter(1, 2)",
            "SyntaxError: behavior 'outer.<locals>.f' uses the variables 'x', 'y' of the function around it",
        ),
        ("def outer(x):\n    @when()\n    def f(): return x\nouter(1)", "pass it as a trailing parameter: `x=x`"),
        ("@when()\nasync def f(): pass", "SyntaxError: behavior 'f' is an async function"),
        ("@when()\nasync def f(): yield 1", "SyntaxError: behavior 'f' is an async function"),
        ("@when()\ndef f(): yield 1", "SyntaxError: behavior 'f' is a generator"),
        ("@when()\ndef f(*, k): pass", "TypeError: behavior 'f': keyword-only parameter 'k' has no default"),
        ("whencall('print', [], [])", "TypeError: a behavior must be a function, not 'str'"),
        (
            "class B:\n    def m(self): return 1\nclass A(B):\n    @when()\n    def m(self): return super().m()",
            "uses super() or __class__",
        ),
        (
            "class Deco:\n    def __init__(self, f): self.f = f\n    def __call__(self): return 1\n@when()\n@Deco\ndef f(): pass",
            "TypeError: 'Deco' cannot be sent to a worker (",
        ),
    ],
)
def test_a_mistake_is_refused_at_the_decorator(program: Carried, text: str, message: str) -> None:
    program.main(text, fails=True)
    assert message in program.errors
    assert "be_worker" not in program.errors


# --------------------------------------------------------- other callables


def test_decorators_below_when(program: Carried) -> None:
    out = program.main(
        """
        import functools
        def times(n):
            def decorate(function):
                @functools.wraps(function)
                def wrapper(*args, **kwargs):
                    return [function(*args, **kwargs) for _ in range(n)] + [helper()]
                return wrapper
            return decorate
        def helper(): return "helped"
        class Tracing:
            def __init__(self, function):
                functools.update_wrapper(self, function)
            def __call__(self, *args): return ("traced", self.__wrapped__(*args))
        K = 4
        @when(Cown(1))
        @times(2)
        def f(c, k=3): return c + k + K
        print(f.value)
        @when(Cown(1))
        @Tracing
        def g(c, *, k=2): return c + k + K
        print(g.value)
        @when(Cown(1))
        @functools.lru_cache(maxsize=None)
        def h(c): return c
        print(h.value)
        @when(Cown(2))
        @functools.cache
        @times(1)
        def i(c): return c
        print(i.value)
        """
    )
    assert out == "[8, 8, 'helped']\n('traced', 7)\n1\n[2, 'helped']\n"


def test_whencall_takes_any_callable_that_can_be_named(program: Carried) -> None:
    out = program.main(
        """
        import functools, math, operator
        K = 2
        def own(a, b=0): return a + b + K
        class Counter:
            def __init__(self, n): self.n = n
            def add(self, k): return self.n + k
            @staticmethod
            def twice(k): return 2 * k
        @functools.cache
        def cached(a): return a * K
        for func, args in [(len, ["abc"]), (math.floor, [2.5]), (operator.add, [1, 2]), (own, [1, 1]), (Counter.twice, [4]),
                           (str.upper, ["a"]), (int, ["7"]), (Counter(5).add, [1]), (functools.partial(own, 3), [4]),
                           (lambda x: x + K, [1]), (cached, [4]), ([1, 2].index, [2])]:
            print(whencall(func, args, []).value, end=" ")
        """
    )
    assert out == "3 2 3 4 8 A 7 6 9 3 8 1 "
