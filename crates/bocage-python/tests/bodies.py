"""Behaviors of the model tests: worker interpreters import this light module."""

from typing import Any

from bocage import Cown, whencall


def mix(state: int, tag: int) -> int:
    """An operation in which the order shows."""
    return (state * 1_000_003 + tag) % (2**61 - 1)


def act(group: list[Cown[Any]], tag: int, then: list[Any]) -> list[int]:
    """Change every cown of the group, then schedule what comes of it.

    Returns what it saw.
    """
    seen = [cown.value for cown in group]
    for cown in dict.fromkeys(group):
        cown.value = mix(cown.value, tag)
    for cowns, inner_tag, inner in then:
        whencall(act, [cowns], [inner_tag, inner])
    return seen


def fail_sometimes(group: list[Cown[Any]], tag: int) -> int:
    """Change the cowns, and then perhaps raise."""
    for cown in dict.fromkeys(group):
        cown.value = mix(cown.value, tag)
    if tag % 3 == 0:
        raise ValueError(tag)
    return tag
