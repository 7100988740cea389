"""Globals that no body names: what values bring along, and what the program did not come to yet."""

import pytest
from programs import Program
from test_functions import refusing_module

ACCOUNT = """
RATE = 3
class Account:
    def __init__(self, balance): self.balance = balance
    def grown(self):
        self.balance *= RATE
        return self.balance
"""


# ------------------------------------------------------- what values bring along


def test_a_method_of_a_cowns_value_sees_the_globals_of_the_moment(program: Program) -> None:
    out = program.main(
        ACCOUNT
        + """
account = Cown(Account(2))
def schedule():
    @when(account)
    def f(account): return account.value.grown()
    return f
print(schedule().result(60))
RATE = 10
print(schedule().result(60))
"""
    )
    assert out == "6\n60\n"


@pytest.mark.parametrize("how", ["-c", "-"])
def test_a_method_sees_them_in_a_program_without_a_file(program: Program, how: str) -> None:
    text = f"""
from bocage import Cown, when
{ACCOUNT}
account = Cown(Account(2))
@when(account)
def f(account): return account.value.grown()

print(f.result(60))
"""
    assert (program.run("-c", text) if how == "-c" else program.run("-", text=text)) == "6\n"


@pytest.mark.parametrize(
    "body",
    [
        "def f(): return TABLE['h']()",
        "def f(): return PART()",
        "def f(h=helper): return h()",
        "def f(): return Sum(1) + Sum(2)",
        "def f(one=Sum(1)): return one + one",
    ],
)
def test_a_function_inside_a_value_sees_globals_and_sees_them_rebound(program: Program, body: str) -> None:
    out = program.main(
        f"""
        import functools
        from dataclasses import dataclass
        STEP = 1
        def helper(): return STEP
        @dataclass
        class Sum:
            value: int
            def __add__(self, other): return STEP
        TABLE = {{"h": helper}}
        PART = functools.partial(helper)
        def schedule():
            @when()
            {body}
            return f.result(60)
        # One that makes the name known to the worker by itself.
        @when()
        def known(): return STEP
        print(known.result(60), schedule())
        STEP = 2
        print(schedule())
        """
    )
    assert out == "1 1\n2\n"


def test_a_value_that_a_behavior_made_brings_its_globals_to_the_next(program: Program) -> None:
    program.write(
        "lib.py",
        "from bocage import when\ndef schedule(cown):\n    @when(cown)\n    def f(cown): return cown.value.grown()\n    return f\n",
    )
    out = program.main(
        ACCOUNT
        + """
import lib
start(3)
account = Cown(None)
@when(account)
def make(account): account.value = Account(2)
@when(account)
def f(account): return account.value.grown()
print(f.result(60))
RATE = 10
print(lib.schedule(account).result(60))
@when()
def outer():
    @when(account)
    def inner(account): return account.value.grown()
    return inner
print(outer.result(60).result(60))
"""
    )
    assert out == "6\n60\n600\n"


def test_a_value_that_is_younger_than_the_behavior_brings_its_globals(program: Program) -> None:
    out = program.main(
        """
        from dataclasses import dataclass
        RATE = 3
        cown = Cown(None)
        cown.acquire()
        @when(cown)
        def g(cown): return cown.value.grown()
        BASE = 1
        @dataclass
        class Late:
            balance: int = BASE
            def grown(self): return self.balance * RATE
        cown.value = Late()
        cown.release()
        print(g.result(60))
        """
    )
    assert out == "3\n"


def test_classes_that_are_no_definitions_travel_in_values(program: Program) -> None:
    out = program.main(
        """
        def schedule(cown):
            @when(cown)
            def f(cown): return cown.value.get()
            return f.result(60)
        exec("K = 8\\nclass Made:\\n    def get(self): return K", globals())
        print(schedule(Cown(Made())))
        if __name__ == "__main__":
            LEVEL = 5
            class Local:
                def get(self): return LEVEL
            print(schedule(Cown(Local())))
            from collections import namedtuple
            Pair = namedtuple("Pair", "one two", defaults=[LEVEL])
            Pair.get = lambda self: self.one + self.two
            print(schedule(Cown(Pair(1))))
        """
    )
    assert out == "8\n5\n6\n"


def test_a_class_that_workers_cannot_have_is_refused_by_the_constructor(program: Program) -> None:
    out = program.main(
        """
        class Meta(type): pass
        exec("class Odd(metaclass=Meta): pass", globals())
        try:
            Cown(Odd())
        except TypeError as error:
            print("'Odd'" in str(error), "metaclass" in str(error))
        @when()
        def fine(): return 1
        print(fine.result(60))
        """
    )
    assert out == "True True\n1\n"


# ------------------------------------------- what the program did not come to yet


def test_a_default_below_is_the_programs_own_cown_and_value(program: Program) -> None:
    out = program.main(
        """
        @when()
        def first(): return 1
        first.result(60)
        LATER = Cown(7)
        def get(x=LATER): return x
        import uuid
        TOKEN = str(uuid.uuid4())
        def token(x=TOKEN): return x
        class Holder: token = TOKEN
        @when()
        def f(): return get() == LATER, token(), Holder.token
        print(f.result(60) == (True, TOKEN, TOKEN))
        """
    )
    assert out == "True\n"
    assert program.errors == ""


def test_nothing_below_the_behavior_runs_before_the_program_comes_to_it(program: Program) -> None:
    out = program.main(
        """
        import os
        def note(what):
            os.write(2, what)
            return what
        @when()
        def first(): return 1
        first.result(60)
        CONF = note(b"conf ")
        def use(x=CONF): return x
        @when()
        def second(): return use()
        print(second.result(60))
        def boom(x=os.mkdir("side")): return x
        print(os.path.isdir("side"))
        """
    )
    assert out == "b'conf '\nTrue\n"
    assert program.errors == "conf "


def test_a_value_that_cannot_cross_is_not_made_for_a_definition_that_nobody_uses(program: Program) -> None:
    out = program.main(
        """
        LOG = open("log", "w")
        def log(file=LOG): return file.name
        print("kept", file=LOG, flush=True)
        @when()
        def f(): return 1
        f.result(60)
        LOG.close()
        print(open("log").read().strip())
        @when()
        def g(): return log()
        print(g.result(60))
        """
    )
    assert out == "kept\nlog\n"


@pytest.mark.parametrize("same_line", [False, True])
def test_a_behavior_uses_the_definition_that_was_there_when_it_was_scheduled(program: Program, same_line: bool) -> None:
    text = """
def helper(): return 'first'
class C:
    def m(self): return 'first'
def use(gate): return helper(), C().m()
gate = Cown(0)
gate.acquire()
early = whencall(use, [gate], []); NAME = 'first'
def helper(): return 'second'
class C:
    def m(self): return 'second'
late = whencall(use, [Cown(0)], [])
print(late.result(60))
gate.release()
print(early.result(60))
print(whencall(use, [Cown(0)], []).result(60))
"""
    if same_line:
        text = text.replace("\ngate.acquire()\n", "; gate.acquire(); ")
    assert program.main(text) == "('second', 'second')\n('first', 'first')\n('second', 'second')\n"


def test_registrations_between_behaviors_reach_workers(program: Program) -> None:
    out = program.main(
        """
        import functools
        import xml
        @functools.singledispatch
        def show(x): return "any"
        def schedule(value):
            @when()
            def f(value=value): return show(value), hasattr(xml, "dom")
            return f.result(60)
        print(schedule(1))
        @show.register
        def _(x: int): return "int"
        print(schedule(1))
        @show.register
        def _(x: str): return "str"
        import xml.dom
        print(schedule("a"))
        AFTER = 1
        """
    )
    assert out == "('any', False)\n('int', False)\n('str', True)\n"


def test_a_thread_that_schedules_sees_where_the_program_is(program: Program) -> None:
    out = program.main(
        """
        import threading
        def helper(): return 'first'
        def schedule():
            @when()
            def f(): return helper(), CONF
            print(f.result(60))
        def in_thread():
            thread = threading.Thread(target=schedule)
            thread.start()
            thread.join(60)
        CONF = 1
        schedule()
        in_thread()
        CONF = 2
        def helper(): return 'second'
        in_thread()
        """
    )
    assert out == "('first', 1)\n('first', 1)\n('second', 2)\n"


# --------------------------------------------------------------- what cannot cross


USES = """
K [K] {K:1} {K} K==2.0 2.0!=K K<3 -K +K ~K abs(K) K**2 2**K 2<<K K@K K//2 2%K divmod(K,2) K&1 isinstance(K,float)
f'{K}' f'{K!r}' '%s'%K hash(K) round(K) int(K) complex(K) bytes(K) [1][K] range(K) K.real K() K[0] len(K) list(K) next(K)
bool(K) dir(K) reversed(K) os.fspath(K) copy.copy(K) copy.deepcopy(K) pickle.dumps(K) math.floor(K)
"""


def test_a_global_that_the_worker_cannot_have_gives_import_error_whatever_is_done_with_it(program: Program) -> None:
    program.write("picky.py", f"import {refusing_module()}\nclass Number(float): pass\nK = Number(2)\n")
    uses = USES.split()
    bodies = "\n".join(f"@when()\ndef f{index}(): return {use}" for index, use in enumerate(uses))
    out = program.main(
        f"""
from picky import K
import copy, math, os, pickle
{bodies}
@when()
def fine(): return 1
print(fine.result(60))
for index in range({len(uses)}):
    try:
        print(index, globals()[f"f{{index}}"].result(60))
    except ImportError as error:
        if "'K' of the main program is not available" not in str(error):
            print(index, error)
"""
    )
    assert out == "1\n"


def test_a_star_import_does_not_hide_a_global_that_cannot_cross(program: Program) -> None:
    program.main(
        """
        from os.path import *
        with open(__file__) as FH: pass
        @when()
        def f(): return FH
        """,
        fails=True,
    )
    assert "TypeError: the global 'FH' cannot be sent" in program.errors


def test_a_global_matrix_stays_with_the_program(program: Program) -> None:
    out = program.main(
        """
        G = Matrix(2, 2, [1, 2, 3, 4])
        H = [Matrix(1, 1, 5)]
        view = memoryview(G)
        class Box:
            def __init__(self, m): self.m = m
        B = Box(Matrix(1, 1, 6))
        @when()
        def f():
            G[0, 0] = 100
            return G.sum(), H[0].sum(), B.m.sum()
        print(f.result(60), G.sum(), H[0].sum(), B.m.sum(), view[0, 0])
        """
    )
    assert out == "(109.0, 5.0, 6.0) 10.0 5.0 6.0 1.0\n"


def test_namespaces_of_exec_are_let_go_when_the_run_ends(program: Program) -> None:
    out = program.main(
        """
        import gc, weakref
        class Here: pass
        gone = []
        for _ in range(3):
            namespace = {"__name__": "plug", "here": Here()}
            gone.append(weakref.ref(namespace["here"]))
            exec("from bocage import when\\n@when()\\ndef f(): return 1\\n", namespace)
        del namespace
        wait(60)
        gc.collect()
        print([reference() for reference in gone])
        """
    )
    assert out == "[None, None, None]\n"
