"""Behaviors: what they get, in which order they run, and how often."""

import operator
import pickle
import random

import pytest
from programs import Gate, pass_gate

from bocage import Cown, quiesce, start, wait, when, whencall

pytestmark = pytest.mark.usefixtures("quiet")


def add(cown, amount=1):
    """A behavior that any module can name."""
    cown.value += amount
    return cown.value


def log(cown, entry):
    """Append to a list in a cown."""
    cown.value.append(entry)


def transfer(source, target, amount):
    """Move money, and never below zero."""
    if source.value >= amount:
        source.value -= amount
        target.value += amount
        return amount
    return 0


def test_the_decorator_gives_a_cown_for_the_result() -> None:
    cown = Cown(20)

    @when(cown)
    def result(cown, more=22):
        return cown.value + more

    assert isinstance(result, Cown)
    wait(30)
    assert result.unwrap() == 42


def test_results_can_be_waited_for_by_behaviors() -> None:
    @when()
    def first():
        return 20

    @when(first)
    def second(first):
        return first.value + 1

    @when(first, second)
    def third(first, second):
        return first.value + second.value + 1

    wait(30)
    assert third.unwrap() == 42


def test_groups_come_as_lists_in_order() -> None:
    cowns = [Cown(n) for n in range(5)]
    single = Cown("s")

    @when(cowns[::-1], single, tuple(cowns[:2]), [])
    def result(group, single, pair, empty):
        assert all(type(each) is list for each in (group, pair, empty))
        return [c.value for c in group], single.value, [c.value for c in pair], empty

    @when([])
    def alone(empty):
        return empty

    wait(30)
    assert result.unwrap() == ([4, 3, 2, 1, 0], "s", [0, 1], [])
    assert alone.unwrap() == []


def test_a_cown_named_twice_is_acquired_once_and_delivered_everywhere() -> None:
    cown, other = Cown(1), Cown(10)

    @when(cown, cown, [cown, other, cown])
    def result(first, second, group):
        first.value += 1
        second.value += 1
        group[2].value += 1
        return first == second == group[0] == group[2], [c.value for c in group]

    wait(30)
    assert result.unwrap() == (True, [4, 10, 4])
    assert cown.unwrap() == 4


def test_star_args_take_the_remaining_cowns() -> None:
    cowns = [Cown(n) for n in range(4)]

    @when(*cowns)
    def result(first, *rest, scale=10):
        return [first.value * scale] + [each.value for each in rest]

    wait(30)
    assert result.unwrap() == [0, 1, 2, 3]


def test_captures_are_evaluated_when_the_decorator_runs() -> None:
    results = []
    for n in range(5):
        held = [n]

        @when()
        def result(n=n, *, double=2 * n, held=held):
            return n, double, held

        held.append("later")
        results.append(result)
    wait(30)
    assert [each.unwrap() for each in results] == [(n, 2 * n, [n]) for n in range(5)]


def test_a_capture_is_each_behaviors_own() -> None:
    shared: list[int] = []

    def schedule():
        @when()
        def result(shared=shared):
            shared.append(1)
            return shared

        return result

    results = [schedule() for _ in range(10)]
    wait(30)
    assert [each.unwrap() for each in results] == [[1]] * 10
    assert shared == []


def test_cowns_can_be_captured_and_returned() -> None:
    cown = Cown(1)

    @when()
    def result(cown=cown):
        @when(cown)
        def inner(cown):
            cown.value += 1
            return cown.value

        return cown, inner

    wait(30)
    same, inner = result.unwrap()
    assert same == cown and same.unwrap() == 2 and inner.unwrap() == 2


def test_a_behavior_schedules_behaviors_on_what_it_holds() -> None:
    cown = Cown([])

    @when(cown)
    def _(cown):
        @when(cown)
        def _(cown):
            cown.value.append("inner")

        cown.value.append("outer")

    @when(cown)
    def _(cown):
        cown.value.append("second")

    wait(30)
    entries = cown.unwrap()
    assert sorted(entries) == ["inner", "outer", "second"]
    assert entries.index("outer") < entries.index("inner")
    assert entries[0] == "outer"


def test_a_long_chain_of_behaviors_ends() -> None:
    cown = Cown(0)
    whencall(step, [cown], [2000])
    wait(60)
    assert cown.unwrap() == 2001


def step(cown, left):
    cown.value += 1
    if left:
        whencall(step, [cown], [left - 1])


def test_behaviors_that_share_a_cown_run_in_the_order_of_scheduling() -> None:
    cown = Cown([])
    for n in range(500):
        whencall(log, [cown], [n])
    wait(30)
    assert cown.unwrap() == list(range(500))


def test_the_order_holds_through_groups_and_other_cowns() -> None:
    first, second, third = Cown([]), Cown([]), Cown([])
    choices = [(first,), (second,), (first, second), (second, third), (third, first), (first, second, third)]
    chance = random.Random(1)
    expected: dict[int, list[int]] = {0: [], 1: [], 2: []}
    index = {first: 0, second: 1, third: 2}
    for n in range(300):
        cowns = chance.choice(choices)
        for cown in cowns:
            expected[index[cown]].append(n)

        @when(list(cowns))
        def _(cowns, n=n):
            for cown in cowns:
                cown.value.append(n)

    wait(30)
    assert [c.unwrap() for c in (first, second, third)] == [expected[k] for k in range(3)]


def test_opposite_orders_do_not_deadlock() -> None:
    left, right = Cown(0), Cown(0)
    for _ in range(500):

        @when(left, right)
        def _(left, right):
            left.value += 1
            right.value += 1

        @when(right, left)
        def _(right, left):
            left.value += 1
            right.value += 1

    wait(60)
    assert left.unwrap() == right.unwrap() == 1000


def test_two_behaviors_run_at_the_same_time() -> None:
    start(worker_count=2)
    there, back = Gate(), Gate()

    @when()
    def first(mine=there.end, other=back._other):
        import os

        os.write(other, b".")
        return os.read(mine, 1)

    @when()
    def second(mine=back.end, other=there._other):
        import os

        os.write(other, b".")
        return os.read(mine, 1)

    wait(30)
    assert first.unwrap() == second.unwrap() == b"."
    there.close()
    back.close()


def test_a_cown_is_never_held_twice() -> None:
    start(worker_count=4)
    cown = Cown(0)
    for _ in range(2000):
        whencall(add, [cown], [])
    wait(60)
    assert cown.unwrap() == 2000


def test_every_behavior_runs_exactly_once() -> None:
    cowns = [Cown(0) for _ in range(64)]
    chance = random.Random(2)
    counts = [0] * 64
    results = []
    for _ in range(3000):
        chosen = chance.sample(range(64), chance.randint(0, 3))
        for each in chosen:
            counts[each] += 1

        @when([cowns[each] for each in chosen])
        def result(group):
            for cown in group:
                cown.value += 1
            return 1

        results.append(result)
    wait(60)
    assert [cown.unwrap() for cown in cowns] == counts
    assert sum(result.unwrap() for result in results) == 3000


def test_money_is_conserved() -> None:
    accounts = [Cown(100) for _ in range(50)]
    chance = random.Random(3)
    moved = [whencall(transfer, chance.sample(accounts, 2), [chance.randint(1, 60)]) for _ in range(3000)]
    wait(60)
    balances = [account.unwrap() for account in accounts]
    assert sum(balances) == 5000 and min(balances) >= 0
    assert sum(each.unwrap() for each in moved) > 0


# ------------------------------------------------------------------ whencall


def test_whencall_takes_functions_and_builtins() -> None:
    cown = Cown(5)
    results = [
        whencall(add, [cown], [3]),
        whencall(add, [cown], ()),
        whencall(len, [], ["abc"]),
        whencall(operator.add, [], [1, 2]),
        whencall(int, [], ["7"]),
        whencall(sorted, [[]], []),
        whencall(lambda group, *more: ([c.value for c in group], more), [[cown, cown]], [1, 2]),
    ]
    wait(30)
    assert [each.unwrap() for each in results] == [8, 9, 3, 3, 7, [], ([9, 9], (1, 2))]


def test_whencall_refuses_what_is_no_function() -> None:
    with pytest.raises(TypeError, match="'str'"):
        whencall("print", [], [])
    with pytest.raises(TypeError):
        whencall(3, [], [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        whencall(add, 3, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        whencall(add, [3], [])  # type: ignore[list-item]


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize("wrong", [3, None, "text", object(), [1], [[]], {}, lambda: 1])
def test_an_argument_that_is_no_cown_is_refused(wrong) -> None:
    with pytest.raises(TypeError):

        @when(wrong)
        def _(wrong): ...


def test_parameters_must_fit_the_cowns() -> None:
    cown = Cown(1)
    with pytest.raises(TypeError, match=r"f.*\bk\b"):

        @when(cown)
        def f(cown, k): ...

    with pytest.raises(TypeError, match="g"):

        @when(cown, cown)
        def g(cown): ...

    with pytest.raises(TypeError, match=r"h.*\bk\b"):

        @when(cown)
        def h(cown, *, k): ...

    quiesce(30)
    assert cown.unwrap() == 1


def test_a_free_variable_is_refused_with_the_cure() -> None:
    variable = 1
    with pytest.raises(SyntaxError, match=r"'.*f'.*'variable'.*variable=variable"):

        @when()
        def f():
            return variable


def test_coroutines_and_generators_are_refused() -> None:
    with pytest.raises(SyntaxError, match="async"):

        @when()
        async def f(): ...

    with pytest.raises(SyntaxError, match="generator"):

        @when()
        def g():
            yield 1


def test_a_capture_that_cannot_cross_is_refused_at_the_decorator() -> None:
    cown = Cown(1)
    refused = (TypeError, AttributeError, pickle.PicklingError)
    with pytest.raises(refused, match="lambda"):

        @when(cown)
        def _(cown, f=lambda: 1): ...

    with pytest.raises(refused):
        whencall(add, [cown], [lambda: 1])
    with open(__file__) as file, pytest.raises(TypeError, match="TextIOWrapper"):

        @when(cown)
        def _(cown, *, file=file): ...

    # Nothing was scheduled, and nothing is held.
    with cown:
        assert cown.value == 1


def test_nothing_of_a_refused_behavior_stays_behind(gate: Gate) -> None:
    cown = Cown(0)

    @when(cown)
    def first(cown, end=gate.end):
        return pass_gate(end)

    for _ in range(20):
        with pytest.raises(TypeError):

            @when(cown, 3)
            def _(a, b): ...

    result = whencall(add, [cown], [1])
    gate.open()
    wait(30)
    assert result.unwrap() == 1 and first.unwrap() is True
