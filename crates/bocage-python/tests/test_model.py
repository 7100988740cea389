"""Random programs against a sequential reference.

Behaviors that share a cown run in the order in which they were scheduled, so a
program without nesting gives exactly what running its behaviors one after the
other gives: every cown's last value, and every value that was seen.
"""

import bodies
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bocage import Cown, quiesce, start, whencall

pytestmark = pytest.mark.usefixtures("quiet")

COWNS = 6
groups = st.lists(st.integers(0, COWNS - 1), max_size=4)
programs = st.lists(st.tuples(groups, st.integers(0, 1000)), max_size=60)
slow = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@slow
@given(programs)
def test_a_flat_program_gives_what_running_it_in_sequence_gives(program) -> None:
    start(worker_count=3)
    cowns = [Cown(n) for n in range(COWNS)]
    model = list(range(COWNS))
    results, expected = [], []
    for group, tag in program:
        results.append(whencall(bodies.act, [[cowns[n] for n in group]], [tag, []]))
        expected.append([model[n] for n in group])
        for n in dict.fromkeys(group):
            model[n] = bodies.mix(model[n], tag)
    quiesce(60)
    assert [cown.unwrap() for cown in cowns] == model
    assert [result.unwrap() for result in results] == expected


@slow
@given(programs)
def test_failures_change_nothing_of_that(program) -> None:
    start(worker_count=3)
    cowns = [Cown(n) for n in range(COWNS)]
    model = list(range(COWNS))
    results = []
    for group, tag in program:
        results.append((tag, whencall(bodies.fail_sometimes, [[cowns[n] for n in group]], [tag])))
        for n in dict.fromkeys(group):
            model[n] = bodies.mix(model[n], tag)
    quiesce(60)
    assert [cown.unwrap() for cown in cowns] == model
    for tag, result in results:
        if tag % 3 == 0:
            with pytest.raises(ValueError, match=str(tag)):
                result.unwrap()
        else:
            assert result.unwrap() == tag


trees = st.recursive(
    st.just([]),
    lambda inner: st.lists(st.tuples(st.integers(0, COWNS - 1), st.integers(0, 1000), inner), max_size=3),
    max_leaves=12,
)


@slow
@given(trees)
def test_what_a_behavior_schedules_on_its_own_cowns_runs_after_it_and_in_order(tree) -> None:
    """Every behavior of a nested program works on one cown of its own subtree, so that order is determined."""
    start(worker_count=3)
    cown = Cown(0)
    model = 0
    pending = [(0, tree)]

    # All on one cown: a behavior's inner ones queue up behind whatever was scheduled before it ran.
    def arguments(tree):
        return [([cown], tag, arguments(inner)) for _, tag, inner in tree]

    whencall(bodies.act, [[cown]], [0, arguments(tree)])
    while pending:
        tag, inner = pending.pop(0)
        model = bodies.mix(model, tag)
        pending.extend((inner_tag, rest) for _, inner_tag, rest in inner)
    quiesce(60)
    assert cown.unwrap() == model
