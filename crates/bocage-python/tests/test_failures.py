"""Whatever goes wrong in a behavior lands in its result, and everything else goes on."""

import traceback

import pytest
from programs import Program

from bocage import Cown, quiesce, wait, when, whencall

pytestmark = pytest.mark.usefixtures("quiet")


class Odd(Exception):
    """An exception of a module's own, with more than args."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code

    def __reduce__(self):
        return Odd, (self.args[0], self.code)


class CannotCross(Exception):
    """An exception that cannot leave the worker."""

    def __init__(self) -> None:
        super().__init__("kept")
        self.function = lambda: 1


def goes_on(cown: Cown) -> bool:
    """Whether a later behavior on the same cown still runs."""
    result = whencall(type, [], [0])
    later = whencall(reads, [cown], [])
    quiesce(30)
    return result.unwrap() is int and later.unwrap() == "read"


def reads(cown):
    cown.exception  # noqa: B018
    return "read"


def test_what_a_body_raises_lands_in_its_result() -> None:
    cown = Cown(1)

    @when(cown)
    def failed(cown):
        cown.value = 2
        error = Odd("why", 7)
        error.add_note("a note")
        raise error from KeyError("cause")

    quiesce(30)
    with failed:
        assert failed.exception is True
        error = failed.value
    assert type(error) is Odd and error.args == ("why",) and error.code == 7
    assert isinstance(error.__cause__, KeyError) and error.__cause__.args == ("cause",)
    text = "".join(traceback.format_exception(error))
    assert "a note" in text and "test_failures.py" in text and "raise error from" in text and "in failed" in text
    with cown:
        assert cown.value == 2
    assert goes_on(cown)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError])
def test_no_exception_ends_a_worker(kind: type[BaseException]) -> None:
    cown = Cown(1)
    failed = whencall(raise_it, [cown], [kind])
    quiesce(30)
    with failed:
        assert failed.exception is True and type(failed.value) is kind
    assert goes_on(cown)
    with pytest.raises(kind):
        failed.unwrap()


def raise_it(cown, kind):
    raise kind("from a body")


def test_sys_exit_is_a_result_like_any_other() -> None:
    @when()
    def left():
        import sys

        sys.exit(3)

    quiesce(30)
    with pytest.raises(SystemExit) as caught:
        left.unwrap()
    assert caught.value.code == 3


def test_endless_recursion_is_caught() -> None:
    failed = whencall(recurse, [], [0])
    quiesce(60)
    with pytest.raises(RecursionError):
        failed.unwrap()


def recurse(n):
    return recurse(n + 1)


def test_a_result_that_cannot_cross_becomes_a_type_error() -> None:
    cown = Cown(1)

    @when(cown)
    def result(cown):
        cown.value = 2
        return lambda: 1

    quiesce(30)
    with pytest.raises(TypeError, match="lambda"):
        result.unwrap()
    with cown:
        assert cown.value == 2 and cown.exception is False
    assert goes_on(cown)


def test_an_open_file_in_a_cown_is_nobodys_data() -> None:
    good, bad = Cown(1), Cown(2)

    @when(good, bad)
    def result(good, bad):
        good.value = "kept"
        bad.value = open(__file__)  # noqa: SIM115
        return "not this"

    quiesce(30)
    with bad:
        assert bad.exception is True and isinstance(bad.value, TypeError)
    with good:
        assert good.value == "kept" and good.exception is False
    with pytest.raises(TypeError, match=r"TextIOWrapper|file"):
        result.unwrap()
    assert goes_on(bad) and goes_on(good)

    @when(bad)
    def mended(bad):
        bad.value = 3

    quiesce(30)
    with bad:
        assert bad.value == 3 and bad.exception is False
    assert mended.unwrap() is None


def test_a_value_that_was_made_uncrossable_in_place_is_noticed() -> None:
    cown = Cown([1])

    @when(cown)
    def result(cown):
        cown.value.append(lambda: 1)

    quiesce(30)
    with pytest.raises(TypeError):
        result.unwrap()
    with cown:
        assert cown.exception is True
    assert goes_on(cown)


def test_an_exception_that_cannot_cross_is_described() -> None:
    @when()
    def failed():
        raise CannotCross

    quiesce(30)
    with pytest.raises(Exception, match="CannotCross") as caught:
        failed.unwrap()
    assert "test_failures.py" in "".join(traceback.format_exception(caught.value))


def test_a_value_that_breaks_while_it_is_pickled_is_an_error_of_that_behavior() -> None:
    @when()
    def failed():
        return Breaks()

    @when()
    def fine():
        return 1

    quiesce(30)
    with pytest.raises(Exception, match="breaks on purpose"):
        failed.unwrap()
    assert fine.unwrap() == 1


class Breaks:
    def __reduce__(self):
        raise ZeroDivisionError("breaks on purpose")


def test_a_value_that_breaks_while_it_is_loaded_is_an_error_of_that_behavior() -> None:
    cown = Cown(BreaksThere())

    @when(cown)
    def failed(cown):
        return cown.value

    later = whencall(reads, [cown], [])
    quiesce(30)
    with pytest.raises(Exception, match="breaks when loaded"):
        failed.unwrap()
    assert later.unwrap() == "read"


class BreaksThere:
    def __reduce__(self):
        return breaks_when_loaded, ()


def breaks_when_loaded():
    raise ZeroDivisionError("breaks when loaded")


def test_an_undefined_global_of_a_module_is_a_name_error_in_the_result() -> None:
    @when()
    def failed():
        return never_defined_anywhere  # noqa: F821

    quiesce(30)
    with pytest.raises(NameError, match="never_defined_anywhere"):
        failed.unwrap()


def test_many_failures_among_many_successes() -> None:
    cown = Cown(0)
    results = [whencall(every_third_fails, [cown], [n]) for n in range(300)]
    quiesce(60)
    for n, result in enumerate(results):
        if n % 3 == 0:
            with pytest.raises(ValueError, match=str(n)):
                result.unwrap()
        else:
            assert result.unwrap() == n
    assert cown.unwrap() == 300


def every_third_fails(cown, n):
    cown.value += 1
    if n % 3 == 0:
        raise ValueError(n)
    return n


def test_what_fails_while_an_exception_is_handled_does_not_hide_it() -> None:
    cown = Cown(1)
    with pytest.raises(TypeError) as caught:
        with cown:
            cown.value = lambda: 1
            raise KeyError("the real failure")
    assert isinstance(caught.value.__context__, KeyError)
    assert "the real failure" in "".join(traceback.format_exception(caught.value))

    with pytest.raises(RuntimeError) as caught:
        try:
            raise KeyError("handled")
        finally:
            cown.release()
    assert isinstance(caught.value.__context__, KeyError)

    with pytest.raises(RuntimeError) as caught:
        try:
            raise KeyError("handled")
        except KeyError:
            cown.value  # noqa: B018
    assert isinstance(caught.value.__context__, KeyError)


def test_a_behaviors_exception_keeps_its_context_and_gets_the_callers() -> None:
    @when()
    def plain():
        raise ValueError("plain")

    @when()
    def failed():
        try:
            raise LookupError("inner")
        except LookupError:
            raise ValueError("outer")  # noqa: B904

    for result, between in [(plain, []), (failed, [LookupError])]:
        with pytest.raises(ValueError) as caught:
            try:
                raise KeyError("handled")
            except KeyError:
                result.result(30)
        assert [type(error) for error in chain_of(caught.value)] == [ValueError, *between, KeyError]


def chain_of(error: BaseException | None) -> list[BaseException]:
    """The exception, its context, and so on; fails if that is a circle."""
    chain: list[BaseException] = []
    while error is not None:
        assert error not in chain
        chain.append(error)
        error = error.__context__
    return chain


def test_no_chain_of_exceptions_becomes_a_circle() -> None:
    cown = Cown(None)

    def raised_again(error: BaseException) -> None:
        with cown:
            cown.value = error
            cown.exception = True
            cown.unwrap()

    with pytest.raises(ValueError) as caught:
        try:
            raise ValueError("again")
        except ValueError as error:
            raised_again(error)
    assert [type(error) for error in chain_of(caught.value)] == [ValueError]

    with pytest.raises(ValueError) as caught:
        try:
            raise ValueError("first")
        except ValueError as error:
            try:
                raise KeyError("came of it")
            except KeyError:
                raised_again(error)
    assert [type(error) for error in chain_of(caught.value)] == [ValueError, KeyError]


def test_a_report_of_what_nobody_saw_has_nothing_to_do_with_what_is_handled(program: Program) -> None:
    out = program.main(
        """
        import sys
        sys.unraisablehook = lambda report: print(repr(report.exc_value), report.exc_value.__context__)
        @when()
        def unseen():
            raise ValueError("nobody looked")
        quiesce(30)
        try:
            raise KeyError("handled")
        except KeyError:
            del unseen
            wait(30)
        """
    )
    assert out == "ValueError('nobody looked') None\n"


def test_an_exception_that_nobody_saw_is_reported_once(program: Program) -> None:
    program.main(
        """
        @when()
        def unseen():
            raise ValueError("nobody looked")
        @when()
        def seen():
            raise ValueError("somebody looked")
        wait(30)
        try:
            seen.unwrap()
        except ValueError:
            pass
        del unseen, seen
        """
    )
    assert program.errors.count("ValueError: nobody looked") == 1
    assert "somebody looked" not in program.errors


def test_the_traceback_that_a_program_prints_names_file_and_line(program: Program) -> None:
    program.main(
        """
        def deep():
            raise ValueError("here")  # this very line
        @when()
        def f():
            deep()  # called here
        wait(30)
        f.unwrap()
        """,
        fails=True,
    )
    assert "# this very line" in program.errors and "# called here" in program.errors
    assert 'main.py", line 4, in deep' in program.errors
    assert program.errors.rstrip().count("ValueError: here") >= 1
