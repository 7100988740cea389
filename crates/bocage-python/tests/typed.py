"""Read by type checkers alone (``test_types.py``), never run.

A line with the comment "error" at its end must be refused, every other one
accepted.
"""

from typing import Any, assert_type

from bocage import Cown, Matrix, noticeboard, start, wait, when, whencall

number = Cown(1)
words = [Cown("a"), Cown("b")]


@when(number, words)
def both(number: Cown[int], words: list[Cown[str]], factor: float = 2.0, *, label: str = "x") -> float:
    assert_type(number.value, int)
    return number.value * factor + len(words[0].value)


assert_type(both, Cown[float])
assert_type(both.unwrap(), float)


@when()
def nothing() -> None:
    start(worker_count=2)


@when(number)
def one(n: Cown[int]) -> str:
    return str(n.value)


@when(one)
def after(text: Cown[str]) -> list[str]:
    return [text.value]


assert_type(after, Cown[list[str]])


@when((number, number))
def group(numbers: list[Cown[int]]) -> int:
    return sum(each.value for each in numbers)


@when(words, number)
def swapped(words: list[Cown[str]], number: Cown[int]) -> int:
    return number.value


@when(number, (number,))
def mixed(number: Cown[int], rest: list[Cown[int]]) -> int:
    return number.value


@when([])
def empty(rest: list[Cown[int]]) -> int:
    return len(rest)


@when([Cown(1), Cown(2)], Cown("x"))
def literals(numbers: list[Cown[int]], text: Cown[str]) -> str:
    return text.value * numbers[0].value


@when(number, number, number, number, number, number, number)
def seven(*numbers: Cown[int]) -> int:
    return len(numbers)


@when(number)  # error
def wrong_type(n: Cown[str]) -> None: ...


@when(number, number)  # error
def too_few(n: Cown[int]) -> None: ...


@when(number)  # error
def no_default(n: Cown[int], k: int) -> None: ...


@when(words)  # error
def group_for_one(words: Cown[str]) -> None: ...


@when(3)  # error
def no_cown(n: int) -> None: ...


number.value = "text"  # error
assert_type(whencall(len, [number], [1]), Cown[int])
assert_type(wait(stats=True), list[dict[str, int]])
assert_type(wait(stats=True, noticeboard=True).noticeboard["key"], Any)
wait(timeout="soon")  # error
noticeboard()["key"] = 1  # error

matrix = Matrix(2, 2, [1, 2, 3, 4])
assert_type(matrix @ matrix + 1, Matrix)
assert_type(2 - matrix, Matrix)
assert_type(matrix.sum(), float)
assert_type(matrix.sum(axis=0), Matrix)
assert_type(matrix[0, 1], float)
assert_type(matrix[0:1], Matrix)
assert_type(matrix[[0, 1], :], Matrix)
Matrix("2", 2)  # error


async def awaited() -> None:
    assert_type(await number, int)
    assert_type(await after, list[str])
    text: str = await number  # error
    print(text)
