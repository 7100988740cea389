"""A cown: who may reach its value, and what becomes of it."""

import pickle
import threading
import weakref

import pytest
from programs import Gate, pass_gate

from bocage import Cown, Matrix, quiesce, wait, when

pytestmark = pytest.mark.usefixtures("quiet")


class Plain:
    """A class that pickle finds by name."""

    def __init__(self, content: object) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and self.content == other.content

    __hash__ = None  # type: ignore[assignment]


def test_nobody_but_the_owner_reaches_the_value() -> None:
    cown = Cown(1)
    with pytest.raises(RuntimeError):
        cown.value  # noqa: B018
    with pytest.raises(RuntimeError):
        cown.value = 2
    with pytest.raises(RuntimeError):
        cown.exception  # noqa: B018
    with cown:
        assert (cown.value, cown.exception, cown.acquired) == (1, False, True)
        cown.value += 4
    assert not cown.acquired
    with pytest.raises(RuntimeError):
        cown.value  # noqa: B018
    assert cown.unwrap() == 5


def test_a_behavior_owns_the_cowns_that_it_lists_and_no_others() -> None:
    mine, other = Cown("mine"), Cown("other")

    @when(mine)
    def seen(mine, other=other):
        try:
            other.value  # noqa: B018
        except RuntimeError:
            return mine.value, mine.acquired, other.acquired
        return None

    wait(30)
    assert seen.unwrap() == ("mine", True, False)


def test_a_handle_kept_by_a_behavior_is_worth_nothing_afterwards() -> None:
    cown = Cown([1])

    @when(cown)
    def _(cown):
        import sys

        sys.modules["kept by a test"] = cown  # type: ignore[assignment]

    @when()
    def late():
        import sys

        kept = sys.modules.get("kept by a test")
        if kept is None:
            return "another worker"
        try:
            return kept.value  # type: ignore[attr-defined]
        except RuntimeError:
            return "refused"

    quiesce(30)
    assert late.unwrap() in ("refused", "another worker")


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: lambda: 1, "lambda"),
        (lambda: [1, {"deep": threading.Lock()}], "lock"),
        (lambda: open(__file__), "TextIOWrapper"),  # noqa: SIM115
        (lambda: (n for n in ()), "generator"),
        (lambda: Plain(threading.Lock()), "lock"),
    ],
)
def test_a_value_that_cannot_cross_is_refused_by_the_constructor(make, part: str) -> None:
    value = make()
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError), match=part):
        Cown(value)
    if hasattr(value, "close"):
        value.close()


def test_setting_a_value_that_cannot_cross_never_leaves_it_for_data() -> None:
    cown = Cown(0)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        with cown:
            cown.value = threading.Lock()
    assert not cown.acquired
    with cown:
        assert cown.exception is True
        assert isinstance(cown.value, Exception)
        cown.value = 1
        assert cown.exception is False
    assert cown.unwrap() == 1


def test_unwrap_takes_the_value_and_leaves_none() -> None:
    cown = Cown([1, 2])
    assert cown.unwrap() == [1, 2]
    assert cown.unwrap() is None
    with cown:
        cown.value = "again"
    assert cown.unwrap() == "again"


def test_unwrap_raises_what_a_behavior_raised_once() -> None:
    @when()
    def failed():
        raise KeyError("why")

    wait(30)
    with pytest.raises(KeyError, match="why"):
        failed.unwrap()
    assert failed.unwrap() is None


def test_unwrap_waits_for_nobody(gate: Gate) -> None:
    cown = Cown(1)

    @when(cown)
    def held(cown, end=gate.end):
        return pass_gate(end)

    with pytest.raises(RuntimeError, match="still in flight"):
        cown.unwrap()
    gate.open()
    wait(30)
    assert held.unwrap() is True
    assert cown.unwrap() == 1


def test_a_returned_exception_is_a_value_and_a_raised_one_is_not() -> None:
    @when()
    def returned():
        return ValueError("data")

    @when()
    def raised():
        raise ValueError("data")

    @when(returned, raised)
    def flags(returned, raised):
        return returned.exception, type(returned.value), raised.exception, type(raised.value)

    wait(30)
    assert flags.unwrap() == (False, ValueError, True, ValueError)
    assert isinstance(returned.unwrap(), ValueError)
    with pytest.raises(ValueError, match="data"):
        raised.unwrap()


@pytest.mark.parametrize("value", [5, [1], ValueError, None])
def test_only_an_exception_can_be_flagged_as_raised(value: object) -> None:
    cown = Cown(value)
    with cown:
        with pytest.raises(TypeError, match="only an exception"):
            cown.exception = True
        assert cown.exception is False
        cown.exception = False
    with cown:
        cown.value = KeyError("raised")
        cown.exception = True
        cown.value = value
        assert cown.exception is False
    assert cown.unwrap() == value


def test_a_behavior_cannot_flag_data_as_raised() -> None:
    cown = Cown(5)

    @when(cown)
    def refused(cown):
        cown.exception = True

    assert cown.result(30) == 5
    with pytest.raises(TypeError, match="only an exception"):
        refused.result(30)


class PicklesToData(Exception):
    def __reduce__(self):
        return int, ("5",)


def test_a_flagged_exception_comes_out_as_an_exception_whatever_it_pickles_to() -> None:
    cown = Cown(None)
    with cown:
        cown.value = PicklesToData("as it is")
        cown.exception = True
    with pytest.raises(PicklesToData, match="as it is"):
        cown.unwrap()


class FlagsWhilePickled:
    """Sets another value, and its flag, while this one is on its way out of the cown."""

    def __reduce__(self):
        flagged.value = ValueError("flagged")
        flagged.exception = True
        return list, ()


flagged = Cown(None)


def test_code_that_runs_while_a_value_is_released_cannot_flag_it() -> None:
    with flagged:
        flagged.value = FlagsWhilePickled()
    with flagged:
        assert flagged.exception is False
    assert flagged.unwrap() == []


def test_acquire_succeeds_at_once_or_fails_at_once(gate: Gate) -> None:
    cown = Cown(1)
    cown.acquire()
    with pytest.raises(RuntimeError):
        cown.acquire()
    cown.release()
    with pytest.raises(RuntimeError):
        cown.release()

    @when(cown)
    def held(cown, end=gate.end):
        return pass_gate(end)

    with pytest.raises(RuntimeError):
        cown.acquire()
    gate.open()
    wait(30)
    with cown:
        assert cown.value == 1
    assert held.unwrap() is True


def test_a_behavior_acquires_by_when_alone() -> None:
    own, other = Cown(1), Cown(2)

    @when(own)
    def refused(own, other=other):
        errors = []
        for cown in (own, other):
            for way in (cown.acquire, cown.__enter__):
                try:
                    way()
                except RuntimeError as error:
                    errors.append(str(error))
        own.value += 1
        return errors

    @when(own, other)
    def after(own, other):
        return own.value, other.value

    wait(30)
    errors = refused.unwrap()
    assert len(errors) == 4 and all("@when" in error for error in errors)
    assert after.unwrap() == (2, 2)


def test_a_thread_of_a_behavior_is_no_behavior() -> None:
    other = Cown(1)

    @when()
    def added(other=other):
        import threading

        def add():
            with other:
                other.value += 1

        thread = threading.Thread(target=add)
        thread.start()
        thread.join(30)

    wait(30)
    assert added.unwrap() is None and other.unwrap() == 2


def test_a_behavior_waits_for_a_cown_that_the_program_has() -> None:
    cown = Cown(1)
    with cown:

        @when(cown)
        def doubled(cown):
            cown.value *= 2

        with pytest.raises(TimeoutError):
            quiesce(0)
        cown.value = 21
    quiesce(30)
    assert cown.unwrap() == 42
    assert doubled.unwrap() is None


def test_handles_of_one_cown_are_equal_whatever_way_they_came() -> None:
    cown, other = Cown(1), Cown(1)
    box = Cown([cown, {"key": cown}, other])

    @when(box, cown)
    def same(box, cown):
        first, second, other = box.value[0], box.value[1]["key"], box.value[2]
        return first == second == cown, hash(first) == hash(cown), other != cown, len({first, second, cown, other})

    wait(30)
    assert same.unwrap() == (True, True, True, 2)
    first, _, third = box.unwrap()
    assert first == cown and third == other and cown != 1
    assert (cown < other) != (other < cown)
    assert sorted([other, cown, other]) == sorted([cown, other, other])


def test_repr_shows_the_value_to_the_owner_alone() -> None:
    cown = Cown("secret")
    assert "secret" not in repr(cown)
    with cown:
        assert "'secret'" in repr(cown)


def test_it_is_generic_at_run_time() -> None:
    assert Cown[int].__origin__ is Cown
    assert Cown[list[str]].__args__ == (list[str],)


def test_it_cannot_be_pickled_by_the_program() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Cown(1))
    with pytest.raises(TypeError):
        pickle.dumps({"inside": [Cown(1)]})


def test_moving_is_by_content() -> None:
    shared = [1]
    payload = {"a": shared, "b": shared}
    payload["self"] = payload
    cown, separate = Cown(payload), Cown(shared)
    shared.append("afterwards")

    @when(cown)
    def mutated(cown):
        value = cown.value
        value["a"].append(2)
        return value["b"], value["self"] is value

    wait(30)
    assert mutated.unwrap() == ([1, 2], True)
    assert cown.unwrap()["a"] == [1, 2]
    assert separate.unwrap() == [1]


def test_what_a_behavior_keeps_is_not_what_the_next_owner_gets() -> None:
    cown, copies = Cown([]), Cown([])

    @when(cown, copies)
    def _(cown, copies):
        copies.value = [cown.value, cown.value]
        cown.value.append("only here")

    @when(cown, copies)
    def result(cown, copies):
        cown.value.append("second")
        return copies.value

    wait(30)
    first, second = result.unwrap()
    assert first is second
    assert cown.unwrap() == ["only here", "second"]


def test_values_come_back_equal_and_of_the_same_type() -> None:
    import datetime
    import decimal
    import enum  # noqa: F401

    values = [
        None, True, 0, -1, 2**63, -(2**200), 1.5, float("inf"), 1j, "", "é\U0001f600\0", b"\0x", bytearray(b"ab"),
        (), (1, (2,)), [], [[]], {}, {1: {"a": None}}, set(), {1, "a"}, frozenset({1}), range(1, 9, 2), slice(1, None),
        datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), decimal.Decimal("1.10"), Plain([1, Plain(2)]),
        ValueError("x", 1), memoryview(b"abc").tobytes(), len, Plain, Matrix,
    ]  # fmt: skip

    def through(value: object) -> object:
        cown = Cown(value)

        @when(cown)
        def result(cown, value=value):
            return cown.value, value, type(cown.value).__name__

        wait(30)
        return result.unwrap()

    for value in values:
        first, second, name = through(value)
        if isinstance(value, BaseException):
            assert first.args == second.args == value.args and type(first) is type(value)
        else:
            assert first == second == value and type(first) is type(second) is type(value)
        assert name == type(value).__name__


def test_a_cycle_of_cowns_is_no_trouble() -> None:
    left, right = Cown(None), Cown(None)

    @when(left, right)
    def _(left, right):
        left.value, right.value = [right], [left]

    @when(left, right)
    def joined(left, right):
        return left.value[0] == right and right.value[0] == left

    wait(30)
    assert joined.unwrap() is True


def test_a_cown_dropped_at_any_time_is_fine(gate: Gate) -> None:
    for _ in range(50):
        Cown([0] * 100)
    cown = Cown(1)

    @when(cown)
    def _(cown, end=gate.end):
        return pass_gate(end)

    del cown, _
    gate.open()
    wait(30)
    kept = [Cown(n) for n in range(10)]
    assert sum(each.unwrap() for each in kept) == 45


def test_the_constructor_keeps_no_reference_to_the_value() -> None:
    value = Plain([1])
    seen = weakref.ref(value)
    cown = Cown(value)
    del value
    assert seen() is None
    assert cown.unwrap() == Plain([1])


def test_wrong_calls_say_what_is_wrong() -> None:
    with pytest.raises(TypeError):
        Cown()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Cown(1, 2)  # type: ignore[call-arg]
    cown = Cown(1)
    with cown, pytest.raises((TypeError, AttributeError)):
        del cown.value
    with pytest.raises(AttributeError):
        cown.something = 1  # type: ignore[attr-defined]
