"""A call that is refused says why, and has moved nothing."""

import functools
import pickle
import threading

import pytest
from programs import Program

from bocage import Cown, Matrix, notice_write, start, when, whencall

pytestmark = pytest.mark.usefixtures("quiet")

# What pickle raises for a lambda differs between versions.
CANNOT_CROSS = (AttributeError, pickle.PicklingError)


class Stubborn:
    def __reduce__(self):
        raise ZeroDivisionError("stubborn")


def test_captures_stay_where_they_are_if_another_cannot_cross() -> None:
    matrix, cown = Matrix(1, 2, 3), Cown(0)
    with pytest.raises(CANNOT_CROSS) as caught:

        @when(cown)
        def _(cown, m=matrix, bad=lambda: 1):
            return m

    # Newer versions of pickle have notes of their own before it.
    assert caught.value.__notes__[-1].startswith("while capturing 'bad' for behavior")
    with pytest.raises(ZeroDivisionError) as divided:

        @when(cown)
        def _(cown, m=matrix, *, inside=[matrix.copy()], bad=Stubborn()):  # noqa: B006, B008
            return m

    assert divided.value.__notes__[-1].startswith("while capturing 'bad' for behavior")
    with pytest.raises(CANNOT_CROSS) as caught:
        whencall(len, [], [[matrix], lambda: 1])
    assert caught.value.__notes__[-1] == "while capturing 'captures[1]' for behavior 'len'"
    assert matrix.sum() == 6


def test_a_value_that_cannot_cross_leaves_its_other_parts_where_they_are() -> None:
    matrices = [Matrix(1, 2, 3), Matrix(1, 1, 4)]
    start(1)
    with pytest.raises(CANNOT_CROSS):
        Cown([*matrices, lambda: 1])
    with pytest.raises(CANNOT_CROSS):
        notice_write("key", {"matrices": matrices, "bad": lambda: 1})
    with pytest.raises(ValueError, match="longest"):
        notice_write("k" * 64, matrices)
    view = memoryview(matrices[1])
    with pytest.raises(BufferError):
        Cown(matrices)
    view.release()
    assert [matrix.sum() for matrix in matrices] == [6, 4]
    assert Cown(matrices).unwrap()[0].sum() == 6


def test_a_matrix_cannot_move_twice_in_one_call() -> None:
    matrix, other = Matrix(1, 2, 3), Matrix(1, 1, 4)
    with pytest.raises(RuntimeError, match="twice") as caught:

        @when()
        def _(m=[other, matrix], *, n=matrix):  # noqa: B006
            return m

    assert caught.value.__notes__[0].startswith("while capturing 'n' for behavior")
    with pytest.raises(RuntimeError, match="twice"):
        whencall(max, [], [matrix, matrix])
    assert matrix.sum() + other.sum() == 10

    @when()
    def same(m=[matrix, matrix]):  # noqa: B006
        return m[0] is m[1], m[0].sum()

    assert same.result(30) == (True, 6)
    assert not matrix.acquired


def test_captures_stay_if_a_global_or_the_runtime_is_missing(program: Program) -> None:
    out = program.main(
        """
        import os
        matrix, cown = Matrix(1, 2, 3), Cown(0)
        try:
            @when(cown)
            def f(cown, m=matrix): return undefined_name
        except NameError:
            print(matrix.sum())
        os.environ["BOCAGE_WORKERS"] = "zero"
        try:
            @when(cown)
            def f(cown, m=matrix): return m.sum()
        except ValueError:
            print(matrix.sum())
        del os.environ["BOCAGE_WORKERS"]
        @when(cown)
        def f(cown, m=matrix): return m.sum()
        print(f.result(30), matrix.acquired)
        """
    )
    assert out == "6.0\n6.0\n6.0 False\n"


def test_a_global_matrix_is_still_the_programs_afterwards(program: Program) -> None:
    out = program.main(
        """
        import threading
        matrix = Matrix(1, 2, 3)
        for lock in [threading.Lock()]: pass
        try:
            @when()
            def f(): return matrix.sum(), lock
        except TypeError:
            print(matrix.sum())
        for _ in range(2):
            @when()
            def f(): return matrix.sum()
            print(f.result(30), matrix.sum())
            wait(30)
        """
    )
    assert out == "6.0\n6.0 6.0\n6.0 6.0\n"


def test_what_a_partial_holds_is_still_the_programs_afterwards() -> None:
    matrix = Matrix(1, 2, 3)
    total = functools.partial(Matrix.sum, matrix)
    assert [whencall(total, []).result(30) for _ in range(2)] == [6, 6]
    assert total() == 6


def counted(function):
    lock = threading.Lock()

    @functools.wraps(function)
    def wrapper(*arguments):
        with lock:
            return function(*arguments)

    return wrapper


@counted
def named(cown):
    return cown.value + 1


@functools.singledispatch
def dispatched(cown):
    return cown.value + 2


def test_a_decorator_that_keeps_what_cannot_cross_is_refused_by_name() -> None:
    cown = Cown(1)
    with pytest.raises(TypeError, match=r"<locals>\.locked' cannot be sent .*'lock' of 'counted.<locals>.wrapper'"):

        @when(cown)
        @counted
        def locked(cown):
            return cown.value

    with pytest.raises(TypeError, match=r"<locals>\.by_type' cannot be sent .*'dispatch_cache' of 'singledispatch"):

        @when(cown)
        @functools.singledispatch
        def by_type(cown):
            return cown.value

    # As the messages say to do.
    assert [when(cown)(named).result(30), when(cown)(dispatched).result(30)] == [2, 3]


def test_a_decorated_global_that_cannot_cross_is_made_by_its_assignment_or_refused_by_name(program: Program) -> None:
    out = program.main(
        """
        import functools, threading
        def counted(function):
            lock = threading.Lock()
            @functools.wraps(function)
            def wrapper(*arguments):
                with lock: return function(*arguments)
            return wrapper
        def plain(text): return len(text)
        assigned = counted(plain)
        for looped in [counted(plain)]: pass
        @when()
        def f(): return assigned("abc")
        print(f.result(30))
        try:
            @when()
            def f(): return looped("abc")
        except TypeError as error:
            print(error)
        """
    )
    first, second = out.splitlines()
    assert first == "3"
    assert "'looped'" in second and "'lock' of 'counted.<locals>.wrapper'" in second
