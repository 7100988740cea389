"""Read by type checkers alone (``test_types.py``), never run.

A line with the comment "error" at its end must be refused, every other one
accepted.
"""

from collections import deque
from fractions import Fraction
from typing import Any, assert_type

from bocage import Cown, Matrix, WaitResult, noticeboard, quiesce, start, wait, when, whencall

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


@when(deque([number]))  # error
def neither_list_nor_tuple(numbers: list[Cown[int]]) -> None: ...


@when(3)  # error
def no_cown(n: int) -> None: ...


number.value = "text"  # error
assert_type(whencall(len, [number], [1]), Cown[int])
assert_type(whencall(max, ([number, number], words, (number,), one)), Cown[Any])
whencall(len, [deque([number])])  # error
assert_type(wait(stats=True), list[dict[str, int]])
assert_type(wait(stats=True, noticeboard=True).noticeboard["key"], Any)
assert_type(quiesce(1, stats=False, noticeboard=True), dict[str, Any])
wait(timeout="soon")  # error


def looked_up(flag: bool, axis: int | None) -> None:
    either = wait(stats=flag)
    assert_type(either, list[dict[str, int]] | dict[str, Any] | WaitResult | None)
    assert_type(quiesce(stats=flag, noticeboard=flag), list[dict[str, int]] | dict[str, Any] | WaitResult | None)
    assert_type(matrix.sum(axis), float | Matrix)
    if axis is not None:
        assert_type(matrix.sum(axis), Matrix)
        assert_type(matrix.mean(axis, matrix), Matrix)
        assert_type(matrix.min(axis), Matrix)
        assert_type(matrix.max(axis=axis), Matrix)
        Matrix.concat([matrix], axis)
    else:
        Matrix.concat([matrix], axis)  # error


noticeboard()["key"] = 1  # error

matrix = Matrix(2, 2, [1, 2, 3, 4])
assert_type(matrix @ matrix + 1, Matrix)
assert_type(2 - matrix, Matrix)
assert_type(matrix.sum(), float)
assert_type(matrix.sum(axis=0), Matrix)
matrix.sum(0.5)  # error
matrix.sum(where=[1])  # error
matrix.add(matrix, out=matrix).add(1)
matrix.add(1, matrix)  # error
matrix.abs(True)  # error
Matrix.allclose(matrix, matrix, 1, equal_nan=True)
Matrix.allclose(matrix, 1.0)  # error
Matrix.allclose(matrix, [1, 1, 1])  # error

flags = [True, False]
halves = [Fraction(1, 2), Fraction(3, 2)]
matrix + flags
matrix - halves
matrix * [Fraction(1, 2), 3]
(1, Fraction(1, 2)) / matrix
matrix @ flags @ halves
matrix += [1, 2.5]
matrix < halves
matrix + "a"  # error
matrix + ["a"]  # error
matrix + [[1]]  # error
matrix @ 2  # error
matrix @ ["a"]  # error
matrix < "a"  # error

assert_type(matrix[0, 1], float)
assert_type(matrix[0:1], Matrix)
assert_type(matrix[0, 0:1], Matrix)
assert_type(matrix[flags], Matrix)
assert_type(matrix[[0, 1], :], Matrix)
assert_type(matrix[:, [0, 1]], Matrix)
assert_type(matrix[0], Any)
for row in matrix:
    assert_type(row, Any)
matrix["a"]  # error
matrix[0, 0, 0]  # error
matrix[[0], [0]]  # error
matrix[0] = halves
matrix[0, 0] = Fraction(1, 2)
matrix[0:1, [1]] = matrix
matrix["a"] = 1  # error
matrix[[0], 0] = 1  # error
matrix[0] = "a"  # error

Matrix.concat([matrix, [1, 2]])
Matrix.concat((matrix, [1, Fraction(1, 2)], (3, 4.5), range(2)), -1)
Matrix.concat(deque([matrix]))
Matrix.concat([matrix, 1])
Matrix.concat(matrix)  # error
Matrix.concat([matrix, "a"])  # error
Matrix.concat([[matrix]])  # error
Matrix.zeros(matrix.shape)
Matrix.zeros(deque([1, 2]))
Matrix.zeros(3)  # error
Matrix.vector(halves)
Matrix.vector(range(3), as_column=True)
Matrix.vector([[1]])  # error
Matrix(2, 2, flags)
Matrix(2, 2, [[1]])  # error
Matrix("2", 2)  # error


async def awaited() -> None:
    assert_type(await number, int)
    assert_type(await after, list[str])
    text: str = await number  # error
    print(text)
