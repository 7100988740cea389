"""The cases of micro.py, and the child process that runs one of them for one library.

Not run by hand: micro.py starts it with a module `boc` on its path, which is the library under test
under a neutral name. A child reads lines from standard input: the number of behaviors for a round.
It answers each with the seconds that the round took, from the first behavior scheduled until
`quiesce` returned. Preparing the cowns and checking the result are outside of that time.

A round whose result is wrong ends the child: a library gains nothing by losing work.
"""

import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from boc import Cown, Matrix, quiesce, start, wait, when


class Case(NamedTuple):
    """One thing that is measured."""

    prepare: Callable[[int], Any]  # the count -> whatever `run` needs
    run: Callable[[Any, int], Any]  # schedules exactly `count` behaviors, gives what `check` needs
    check: Callable[[Any, int], bool]


# Tiny behaviors: what is measured is scheduling, handing over and finishing.


def spawn(_: None, count: int) -> list[Cown]:
    """Each behavior on a new cown, which is made in the measured time too."""
    cowns = []
    for number in range(count):
        cown = Cown(number)
        cowns.append(cown)

        @when(cown)
        def _(cown):
            cown.value += 1

    return cowns


def spawned(cowns: list[Cown], count: int) -> bool:
    return [cown.unwrap() for cown in cowns] == list(range(1, count + 1))


def fan_out(cowns: list[Cown], count: int) -> list[Cown]:
    """Root behaviors, each of which schedules one behavior on each of the cowns."""
    for _ in range(count // (len(cowns) + 1)):

        @when()
        def _(cowns=cowns):
            for cown in cowns:

                @when(cown)
                def _(cown):
                    cown.value += 1

    return cowns


def fanned_out(cowns: list[Cown], count: int) -> bool:
    return [cown.unwrap() for cown in cowns] == [count // (len(cowns) + 1)] * len(cowns)


def contend(cown: Cown, count: int) -> Cown:
    """All behaviors on one cown, scheduled from outside."""
    for _ in range(count):

        @when(cown)
        def _(cown):
            cown.value += 1

    return cown


def counted(cown: Cown, count: int) -> bool:
    return cown.unwrap() == count


class Bank(NamedTuple):
    """Accounts with 0 in each, who pays whom, and what must be in them afterwards."""

    accounts: list[Cown]
    transfers: list[tuple[int, int]]
    expected: list[int]


def open_bank(count: int) -> Bank:
    draw = random.Random(count)
    transfers = [tuple(draw.sample(range(1000), 2)) for _ in range(count)]
    expected = [0] * 1000
    for payer, payee in transfers:
        expected[payer] -= 1
        expected[payee] += 1
    return Bank([Cown(0) for _ in range(1000)], transfers, expected)


def transfer(bank: Bank, count: int) -> Bank:
    """Each behavior moves 1 between two of 1000 accounts."""
    accounts = bank.accounts
    for payer, payee in bank.transfers:

        @when(accounts[payer], accounts[payee])
        def _(payer, payee):
            payer.value -= 1
            payee.value += 1

    return bank


def balanced(bank: Bank, count: int) -> bool:
    return [account.unwrap() for account in bank.accounts] == bank.expected


def chain(cown: Cown, count: int) -> Cown:
    """Each behavior schedules the next on the cown that it holds."""

    @when(cown)
    def _(cown, count=count):
        cown.value += 1
        if count > 1:
            chain(cown, count - 1)

    return cown


# Large values. A *hop* really moves its value: of several cowns each gets one behavior, then all is
# quiet, then each gets the next. So when a behavior releases its cown, no next one is known, and no
# library can keep the object where it is: it must leave the interpreter and enter the next one. The
# behavior reads and changes the value, so that no library can give out an old copy either.
#
# A *chain* of these is the self-chain from above with such a value. There a library may notice that
# the next behavior goes to the same worker, and leave the object alone.


class Load(NamedTuple):
    """Cowns with a large value each, and what must be in each of them after `hops` hops."""

    cowns: list[Cown]
    expected: Callable[[int], Any]


def of_lists(cowns: int) -> Load:
    return Load([Cown(list(range(1000))) for _ in range(cowns)], lambda hops: [hops, *range(1, 1000)])


def of_dicts(cowns: int) -> Load:
    def value(first: int) -> dict[str, int]:
        return {"key 0": first} | {f"key {number}": number for number in range(1, 1000)}

    return Load([Cown(value(0)) for _ in range(cowns)], value)


MIB = 1 << 20


def of_bytes(cowns: int) -> Load:
    value = random.Random(1).randbytes(MIB)
    return Load([Cown(value) for _ in range(cowns)], lambda hops: value[-(hops % MIB) :] + value[: -(hops % MIB)])


def of_matrices(cowns: int) -> Load:
    return Load([Cown(Matrix(1000, 1000, 1.0)) for _ in range(cowns)], lambda hops: (1.0 + hops, 1_000_000.0 + hops))


def change(cown: Cown) -> None:
    """Reads one end of the value and changes the other. Bytes are rotated by one, copied once."""
    value = cown.value
    if isinstance(value, list):
        value[0] += value[-1] - 998
    elif isinstance(value, dict):
        value["key 0"] += value["key 999"] - 998
    elif isinstance(value, bytes):
        cown.value = b"".join((value[-1:], memoryview(value)[:-1]))
    else:
        value[0, 0] = value[0, 0] + value[999, 999]


def hop(load: Load, count: int) -> Load:
    """One behavior on each cown, then quiet, and again."""
    for _ in range(count // len(load.cowns)):
        for cown in load.cowns:

            @when(cown)
            def _(cown):
                change(cown)

        quiesce()
    return load


def chain_change(cown: Cown, count: int) -> None:
    """Each behavior changes the value and schedules the next."""

    @when(cown)
    def _(cown, count=count):
        change(cown)
        if count > 1:
            chain_change(cown, count - 1)


def chain_load(load: Load, count: int) -> Load:
    """A self-chain with a large value."""
    chain_change(load.cowns[0], count)
    return load


def arrived(load: Load, count: int) -> bool:
    hops = count // len(load.cowns)
    return all(cown.unwrap() == load.expected(hops) for cown in load.cowns)


def arrived_as_matrix(load: Load, count: int) -> bool:
    hops = count // len(load.cowns)
    for cown in load.cowns:
        matrix = cown.unwrap()
        if (matrix[0, 0], matrix.sum()) != load.expected(hops):
            return False
    return True


CASES = {
    "spawn": Case(lambda _: None, spawn, spawned),
    "fan-out": Case(lambda _: [Cown(0) for _ in range(256)], fan_out, fanned_out),
    "contended": Case(lambda _: Cown(0), contend, counted),
    "bank": Case(open_bank, transfer, balanced),
    "chain": Case(lambda _: Cown(0), chain, counted),
    "list-hop": Case(lambda _: of_lists(64), hop, arrived),
    "dict-hop": Case(lambda _: of_dicts(64), hop, arrived),
    "bytes-hop": Case(lambda _: of_bytes(64), hop, arrived),
    "matrix-hop": Case(lambda _: of_matrices(32), hop, arrived_as_matrix),
    "list-chain": Case(lambda _: of_lists(1), chain_load, arrived),
    "dict-chain": Case(lambda _: of_dicts(1), chain_load, arrived),
    "bytes-chain": Case(lambda _: of_bytes(1), chain_load, arrived),
    "matrix-chain": Case(lambda _: of_matrices(1), chain_load, arrived_as_matrix),
}


def measure(case: Case, count: int) -> float:
    """The seconds of one round of `count` behaviors."""
    state = case.prepare(count)
    quiesce()
    begin = time.perf_counter()
    state = case.run(state, count)
    quiesce()
    seconds = time.perf_counter() - begin
    if not case.check(state, count):
        raise AssertionError(f"wrong result after {count} behaviors")
    return seconds


def main() -> None:
    """Runs rounds of the case and with the workers that the arguments name."""
    name, workers = sys.argv[1:]
    try:
        start(worker_count=int(workers))
        for line in sys.stdin:
            print(measure(CASES[name], int(line)), flush=True)
        wait()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # at once: with behaviors left undone a library may not get out of the process


if __name__ == "__main__":
    main()
