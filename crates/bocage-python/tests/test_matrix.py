"""The type Matrix, from Python: against plain lists, and at its edges."""

import array
import copy
import gc
import inspect
import itertools
import math
import operator
import pickle
import random
import sys
import weakref
from fractions import Fraction

import pytest

from bocage import Cown, Matrix, wait, when

NAN, INF = math.nan, math.inf
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv]
METHODS = [Matrix.add, Matrix.subtract, Matrix.multiply, Matrix.divide]


class Box:
    """Something that crosses by pickle."""

    def __init__(self, content):
        self.content = content


def divide(x, y):
    """``x / y`` as IEEE 754 has it."""
    if y:
        return x / y
    return NAN if not x or x != x else math.copysign(INF, x) * math.copysign(1.0, y)


NAIVE = [operator.add, operator.sub, operator.mul, divide]


def elements(matrix):
    return list(matrix.values())


def same(left, right):
    """Equal elements, NaN to NaN."""
    pairs = itertools.zip_longest(left, right)
    return all(l == r or (l != l and r != r) for l, r in pairs)


def numbered(rows, columns):
    """A matrix of 0, 1, 2, ... in row-major order."""
    return Matrix(rows, columns, range(rows * columns))


@pytest.fixture
def rng():
    seed = random.randrange(2**32)
    print("seed", seed)
    return random.Random(seed)


# --- Making ---------------------------------------------------------------------------------------


def test_values_fill_in_row_major_order():
    assert Matrix(2, 3).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert Matrix(2, 3, None) == Matrix(2, 3)
    assert Matrix(2, 3, 7).tolist() == [[7, 7, 7], [7, 7, 7]]
    assert Matrix(rows=2, columns=3, values=[1, 2, 3, 4, 5, 6]).tolist() == [[1, 2, 3], [4, 5, 6]]
    for values in [(1, 2), range(1, 3), array.array("i", [1, 2]), [True, Fraction(2)]]:
        assert Matrix(1, 2, values).tolist() == [[1, 2]]


@pytest.mark.parametrize("values", [[], [1, 2, 3], [1] * 5, (), range(3)])
def test_a_wrong_number_of_values_is_refused(values):
    with pytest.raises(ValueError, match=f"2x2 matrix takes 4 values, not {len(values)}"):
        Matrix(2, 2, values)


@pytest.mark.parametrize("values", ["abcd", [1, 2, 3, "4"], [[1, 2], [3, 4]], {1, 2, 3, 4}, 1j, object()])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(TypeError):
        Matrix(2, 2, values)


@pytest.mark.parametrize("rows, columns", [(0, 3), (3, 0), (-1, 3), (2, -2)])
def test_a_matrix_is_never_empty(rows, columns):
    with pytest.raises(ValueError, match=f"{rows}x{columns}"):
        Matrix(rows, columns)


def test_dimensions_are_ints():
    with pytest.raises(TypeError):
        Matrix(2.0, 2)
    with pytest.raises(TypeError):
        Matrix("2", 2)
    with pytest.raises(TypeError):
        Matrix(2)
    with pytest.raises(OverflowError):
        Matrix(2**40, 2**40)
    with pytest.raises(OverflowError):
        Matrix(2**100, 1)
    with pytest.raises(MemoryError):
        Matrix(2**30, 2**29)


def test_makers():
    assert Matrix.zeros((1, 2)).tolist() == [[0, 0]]
    assert Matrix.ones([1, 2]).tolist() == [[1, 1]]
    assert Matrix.full((1, 2), 2.5).tolist() == [[2.5, 2.5]]
    assert Matrix.vector([1, 2]).shape == (1, 2)
    assert Matrix.vector((1, 2), as_column=True).shape == (2, 1)
    assert Matrix.vector(range(3), True).tolist() == [[0], [1], [2]]
    assert Matrix.identity(2).tolist() == [[1, 0], [0, 1]]
    assert Matrix.linspace(1, 2, 5).tolist() == [[1, 1.25, 1.5, 1.75, 2]]
    assert Matrix.linspace(1, 2, 1).tolist() == [[1]]
    for size in [3, (1,), (1, 2, 3), "ab"]:
        with pytest.raises(TypeError):
            Matrix.zeros(size)
    for bad in [(ValueError, []), (TypeError, 5), (TypeError, ["a"])]:
        with pytest.raises(bad[0]):
            Matrix.vector(bad[1])
    with pytest.raises(ValueError):
        Matrix.identity(0)


def test_concat():
    a, b = Matrix(1, 2, [1, 2]), Matrix(2, 2, [3, 4, 5, 6])
    assert Matrix.concat([a, b, [7, 8]]).tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert Matrix.concat((b, b.T), axis=1).tolist() == [[3, 4, 3, 5], [5, 6, 4, 6]]
    assert Matrix.concat([a, a], -1) == Matrix.concat([a, a], 1)
    with pytest.raises(ValueError, match="1x2 and 2x2"):
        Matrix.concat([a, b], 1)
    with pytest.raises(ValueError):
        Matrix.concat([])
    with pytest.raises(KeyError):
        Matrix.concat([a], 2)
    with pytest.raises(TypeError):
        Matrix.concat(a)
    with pytest.raises(TypeError):
        Matrix.concat([a, "b"])


# --- Shape ----------------------------------------------------------------------------------------


def test_shape():
    m = numbered(2, 3)
    assert (m.rows, m.columns, m.size, m.shape, len(m), bool(m)) == (2, 3, 6, (2, 3), 2, True)
    assert m.T.tolist() == m.transpose().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert m.reshape(3, 2).tolist() == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="2x3.*4x2"):
        m.reshape(4, 2)
    assert m.shape == (2, 3)
    for name in ["rows", "columns", "size", "shape", "T", "acquired", "other"]:
        with pytest.raises(AttributeError):
            setattr(m, name, 1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 5), (5, 1), (40, 17), (33, 33)])
def test_transposing_in_place_is_the_same_matrix(shape):
    m = numbered(*shape)
    expected = m.T.tolist()
    assert m.transpose(in_place=True) is m
    assert m.tolist() == expected
    assert [list(column) for column in zip(*expected)] == numbered(*shape).tolist()


def test_copies_are_apart():
    m = numbered(2, 2)
    for other in [m.copy(), copy.copy(m), copy.deepcopy(m), m.T, m[:], m.reshape(4, 1)]:
        other[0, 0] = 99
        assert m[0, 0] == 0
    pair = copy.deepcopy([m, m])
    assert pair[0] is pair[1] and pair[0] is not m


def test_iteration_gives_rows_and_values_gives_floats():
    m = numbered(2, 3)
    assert [row.tolist() for row in m] == [[[0, 1, 2]], [[3, 4, 5]]]
    assert list(Matrix(2, 1, [5, 6])) == [5.0, 6.0]
    values = m.values()
    assert iter(values) is values
    assert next(values) == 0.0
    m[0, 1] = 42
    assert next(values) == 42.0
    assert list(values) == [2, 3, 4, 5]
    assert next(values, None) is None


# --- Arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", range(4))
def test_operators_against_lists(which, rng):
    for _ in range(60):
        rows, columns = rng.randint(1, 6), rng.randint(1, 20)
        shapes = [(rows, columns), (1, 1), (1, columns), (rows, 1)]
        left, right = rng.choice(shapes), rng.choice(shapes)
        kind = rng.choice(["matrix", "number", "list", "reflected number", "reflected list"])

        def draw(rows, columns):
            pick = [0.0, 1.0, -2.5, INF, rng.random()]
            return [[rng.choice(pick) for _ in range(columns)] for _ in range(rows)]

        if kind == "number":
            right = (1, 1)
        elif kind == "list":
            right = (1, right[1])
        elif kind == "reflected number":
            left = (1, 1)
        elif kind == "reflected list":
            left = (1, left[1])
        a, b = draw(*left), draw(*right)
        x, y = Matrix(*left, sum(a, [])), Matrix(*right, sum(b, []))
        if kind == "number":
            y = b[0][0]
        elif kind == "list":
            y = rng.choice([list, tuple])(b[0])
        elif kind == "reflected number":
            x = a[0][0]
        elif kind == "reflected list":
            x = rng.choice([list, tuple])(a[0])
        shape = (max(left[0], right[0]), max(left[1], right[1]))
        pairs = itertools.product(range(shape[0]), range(shape[1]))
        expected = [
            NAIVE[which](a[min(i, left[0] - 1)][min(j, left[1] - 1)], b[min(i, right[0] - 1)][min(j, right[1] - 1)])
            for i, j in pairs
        ]
        result = OPERATORS[which](x, y)
        assert type(result) is Matrix and result.shape == shape
        assert same(elements(result), expected)

        if isinstance(x, Matrix):
            out = Matrix(*shape, 5)
            assert METHODS[which](x, y, out=out) is out
            assert same(elements(out), expected)
            assert same(elements(METHODS[which](x, y)), expected)
            before = x
            x = IN_PLACE[which](x, y)
            assert same(elements(x), expected)
            # Where it fits it is the same object, else the name is bound to a new one.
            assert (x is before) == (left == shape)
            if x is not before:
                assert elements(before) == sum(a, [])


@pytest.mark.parametrize("which", range(4))
def test_out_may_be_an_operand(which):
    a, b = Matrix(2, 2, [1, 2, 3, 4]), Matrix(2, 2, [5, 6, 7, 8])
    expected = elements(METHODS[which](a, b))
    both = elements(METHODS[which](a, a))
    x = a.copy()
    assert METHODS[which](x, b, out=x) is x
    assert elements(x) == expected
    y = b.copy()
    assert METHODS[which](a, y, out=y) is y
    assert elements(y) == expected
    z = a.copy()
    assert METHODS[which](z, z, out=z) is z
    assert elements(z) == both
    z = a.copy()
    z = IN_PLACE[which](z, z)
    assert elements(z) == both


@pytest.mark.parametrize("which", range(4))
def test_what_does_not_fit_names_both_shapes(which):
    m = numbered(2, 3)
    before = m.tolist()
    for wrong, shape in [(Matrix(3, 2), "3x2"), ([1, 2], "1x2"), (Matrix(2, 2), "2x2")]:
        with pytest.raises(ValueError, match=f"2x3 and {shape}"):
            OPERATORS[which](m, wrong)
        with pytest.raises(ValueError, match=f"{shape} and 2x3"):
            OPERATORS[which](wrong, m)
        with pytest.raises(ValueError, match=f"2x3 and {shape}"):
            IN_PLACE[which](m, wrong)
        with pytest.raises(ValueError, match=f"2x3 and {shape}"):
            METHODS[which](m, wrong)
    with pytest.raises(ValueError, match="3x2.*2x3"):
        METHODS[which](m, 1, out=Matrix(3, 2))
    with pytest.raises(ValueError, match="1x3.*2x3"):
        METHODS[which](Matrix(1, 3), m, out=Matrix(1, 3))
    with pytest.raises(ValueError):
        OPERATORS[which](m, [])
    assert m.tolist() == before


@pytest.mark.parametrize("wrong", ["a", b"abc", None, {}, {1, 2}, 1j, object(), [1, "a"], [[1, 2, 3]], len])
def test_what_is_no_operand_is_a_type_error(wrong):
    m = numbered(2, 3)
    for which in range(4):
        with pytest.raises(TypeError):
            OPERATORS[which](m, wrong)
        with pytest.raises(TypeError):
            OPERATORS[which](wrong, m)
        with pytest.raises(TypeError):
            IN_PLACE[which](m, wrong)
        with pytest.raises(TypeError):
            METHODS[which](m, wrong)
        if wrong is not None:
            with pytest.raises(TypeError):
                METHODS[which](m, 1, out=wrong)
    with pytest.raises(TypeError):
        m @ wrong
    assert m == numbered(2, 3)


def test_methods_take_out_by_keyword_only():
    m = Matrix(1, 1)
    with pytest.raises(TypeError):
        m.add(1, m)
    with pytest.raises(TypeError):
        m.add(other=1)
    with pytest.raises(TypeError):
        m.add()
    with pytest.raises(TypeError):
        m.add(1, into=m)


def test_the_matrix_product(rng):
    for _ in range(30):
        rows, inner, columns = (rng.randint(1, 12) for _ in range(3))
        a = [[rng.randint(-9, 9) for _ in range(inner)] for _ in range(rows)]
        b = [[rng.randint(-9, 9) for _ in range(columns)] for _ in range(inner)]
        expected = [[sum(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]
        assert (Matrix(rows, inner, sum(a, [])) @ Matrix(inner, columns, sum(b, []))).tolist() == expected
    m = numbered(2, 3)
    assert ([1, 2] @ m).tolist() == [[6, 9, 12]]
    assert (Matrix(2, 1, [1, 2]) @ (3, 4)).tolist() == [[3, 4], [6, 8]]
    with pytest.raises(ValueError, match="2x3 by 2x3"):
        m @ m
    for wrong in [2, 2.0, "a", None]:
        with pytest.raises(TypeError):
            m @ wrong
        with pytest.raises(TypeError):
            wrong @ m
    n = m
    n @= m.T
    assert n.tolist() == [[5, 14], [14, 50]] and m == numbered(2, 3)


def test_signs():
    m = Matrix(1, 4, [-1, 0.0, NAN, -INF])
    assert str(elements(-m)) == "[1.0, -0.0, nan, inf]"
    assert str(elements(abs(m))) == str(elements(m.abs())) == "[1.0, 0.0, nan, inf]"
    out = Matrix(1, 4)
    assert m.negate(out=out) is out and out[0, 0] == 1
    assert m.negate(in_place=True) is m and m[0, 0] == 1
    assert m.abs(out=m) is m and m[0, 3] == INF
    with pytest.raises(ValueError):
        m.abs(in_place=True, out=out)
    with pytest.raises(ValueError, match="1x1.*1x4"):
        m.abs(out=Matrix(1, 1))
    with pytest.raises(TypeError):
        m.abs(True)


# --- Comparing ------------------------------------------------------------------------------------


def test_order_is_lexicographic():
    a = Matrix(1, 3, [1, 2, 3])
    assert a < Matrix(1, 3, [1, 3, 0]) and a <= [1, 2, 3] and a > (1, 2, 2) and not a > a
    assert a < 2 and a >= 1 and 2 > a
    assert [1, 3, 0] > a
    for other in [Matrix(3, 1), [1, 2]]:
        for compare in [operator.lt, operator.le, operator.gt, operator.ge]:
            with pytest.raises(ValueError):
                compare(a, other)
    for compare in [operator.lt, operator.le, operator.gt, operator.ge]:
        with pytest.raises(TypeError):
            compare(a, "a")
        with pytest.raises(TypeError):
            compare(a, ["a", "b", "c"])


def test_a_nan_never_decides():
    assert Matrix(1, 2, [NAN, 2]) == Matrix(1, 2, [1, 2])
    assert Matrix(1, 2, [NAN, 2]) < Matrix(1, 2, [1, 3])
    assert Matrix(1, 1, NAN) == Matrix(1, 1, NAN)


def test_equality_never_raises():
    a = numbered(2, 2)
    assert a == numbered(2, 2) and not a != numbered(2, 2)
    assert Matrix(2, 2, 3) == 3 and Matrix(1, 2, [1, 2]) == [1, 2]
    for other in [None, "a", numbered(1, 4), numbered(4, 1), [0, 1, 2, 3], ["a"], [], 1j, object, 10**400]:
        assert a != other and not a == other


def test_a_mutable_thing_has_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Matrix(1, 1))


def test_allclose():
    a = Matrix(1, 2, [1, NAN])
    assert Matrix.allclose(a, a, equal_nan=True) and not Matrix.allclose(a, a)
    assert Matrix.allclose(Matrix(1, 1, 1), Matrix(1, 1, 1.1), rtol=0.2)
    assert not Matrix.allclose(Matrix(1, 1, 1), Matrix(1, 1, 1.1), 0.01, 0.01)
    assert not Matrix.allclose(Matrix(1, 2), Matrix(2, 1))
    with pytest.raises(TypeError):
        Matrix.allclose(a, 1)


# --- Reducing -------------------------------------------------------------------------------------

REDUCTIONS = [
    (Matrix.sum, lambda xs: sum(xs)),
    (Matrix.mean, lambda xs: sum(xs) / len(xs) if xs else NAN),
    (Matrix.min, lambda xs: min((x for x in xs if x == x), default=NAN)),
    (Matrix.max, lambda xs: max((x for x in xs if x == x), default=NAN)),
]


@pytest.mark.parametrize("method, naive", REDUCTIONS)
def test_reductions_against_lists(method, naive, rng):
    for _ in range(40):
        rows, columns = rng.randint(1, 40), rng.randint(1, 40)
        values = [rng.randint(-50, 50) if rng.random() < 0.99 else NAN for _ in range(rows * columns)]
        flags = [rng.choice([0.0, 0.0, 3.0, NAN]) for _ in values]
        m = Matrix(rows, columns, values)
        for mask in [None, Matrix(rows, columns, flags)]:
            kept = [[] for _ in range(rows)]
            for i, j in itertools.product(range(rows), range(columns)):
                flag = 1 if mask is None else flags[i * columns + j]
                kept[i].append((values[i * columns + j], flag != 0))
            down = [naive([x for x, keep in column if keep]) for column in zip(*kept)]
            across = [naive([x for x, keep in row if keep]) for row in kept]
            whole = naive([x for row in kept for x, keep in row if keep])
            result = method(m, where=mask)
            assert type(result) is float and same([result], [whole])
            for axis in [0, -2]:
                result = method(m, axis, mask)
                assert result.shape == (1, columns) and same(elements(result), down)
            for axis in [1, -1]:
                result = method(m, axis=axis, where=mask)
                assert result.shape == (rows, 1) and same(elements(result), across)


@pytest.mark.parametrize("method, naive", REDUCTIONS)
def test_reductions_refuse(method, naive):
    m = numbered(2, 2)
    for axis in [2, -3, 10**30]:
        with pytest.raises((ValueError, OverflowError)):
            method(m, axis)
    for axis in ["a", 0.0, []]:
        with pytest.raises(TypeError):
            method(m, axis)
    with pytest.raises(ValueError, match="1x4.*2x2"):
        method(m, where=Matrix(1, 4))
    with pytest.raises(TypeError):
        method(m, where=[1, 1])


def test_sums_hardly_round():
    for count in [10, 1000, 100_001]:
        exact = math.fsum([0.1] * count)
        for total in [
            Matrix(1, count, 0.1).sum(),
            Matrix(1, count, 0.1).sum(1)[0, 0],
            Matrix(count, 1, 0.1).sum(0)[0, 0],
            Matrix(count, 5, 0.1).sum(0)[0, 4],
        ]:
            assert abs(total - exact) <= 4 * math.ulp(exact)


# --- Indexing -------------------------------------------------------------------------------------


def test_reading_parts():
    m = numbered(3, 4)
    assert m[1].tolist() == [[4, 5, 6, 7]] and m[-1].tolist() == [[8, 9, 10, 11]]
    assert m[1, 2] == 6.0 and type(m[1, 2]) is float and m[-1, -1] == 11.0 and m[True, False] == 4.0
    assert m[1:].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert m[::-2, 1:3].tolist() == [[9, 10], [1, 2]]
    assert m[1, :].tolist() == [[4, 5, 6, 7]] and m[:, 1].tolist() == [[1], [5], [9]]
    assert m[0:1, 0:1].tolist() == [[0]] and m[0, 0:1].tolist() == [[0]] and m[0:1, 0].tolist() == [[0]]
    assert m[[2, 0, -1]].tolist() == [m.tolist()[i] for i in (2, 0, 2)]
    assert m[[1], :].tolist() == [[4, 5, 6, 7]] and m[:, [3, 0, 3]][2].tolist() == [[11, 8, 11]]
    assert Matrix(3, 1, [1, 2, 3])[1] == 2.0
    assert Matrix(3, 1, [1, 2, 3])[[1]].shape == (1, 1)
    assert Matrix(1, 3, [1, 2, 3])[0].tolist() == [[1, 2, 3]]
    assert m[5:0:-1].tolist() == m.tolist()[5:0:-1]


KEYS = [3, -4, (0, 4), (0, -5), (3, 0), slice(1, 1), (0, slice(9, None)), [], [3], ([0, -4], slice(None)), 2**80, (0, [])]
PAIRS = [([0], [0]), ([0], 0), (0, [0]), ([0], slice(0, 2)), (slice(0, 2), [0]), ([0], slice(0, 3))]


@pytest.mark.parametrize("key", KEYS + PAIRS)
def test_out_of_range_is_an_index_error(key):
    m = numbered(3, 4)
    with pytest.raises(IndexError):
        m[key]
    with pytest.raises(IndexError):
        m[key] = 1
    assert m == numbered(3, 4)


@pytest.mark.parametrize("key", ["a", 1.0, None, ..., (0, "a"), (0, 1.5), ["a"], [1.0], [[0]], {}, (None, 0)])
def test_what_is_no_index_is_a_type_error(key):
    m = numbered(3, 4)
    with pytest.raises(TypeError):
        m[key]
    with pytest.raises(TypeError):
        m[key] = 1
    with pytest.raises(TypeError):
        del m[0]


@pytest.mark.parametrize("key", [(), (0,), (0, 1, 2)])
def test_two_dimensions_is_all_there_are(key):
    with pytest.raises(KeyError):
        numbered(3, 4)[key]
    with pytest.raises(KeyError):
        numbered(3, 4)[key] = 1


def picks(rng, length):
    """A key for one axis and the indices it means."""
    everything = list(range(length))
    if rng.random() < 0.4:
        index = rng.randrange(-length, length)
        return index, [everything[index]]
    while True:
        ends = [None, *range(-length - 2, length + 3)]
        key = slice(rng.choice(ends), rng.choice(ends), rng.choice([None, 1, 2, -1, -3]))
        if everything[key]:
            return key, everything[key]


def test_reading_and_assigning_against_lists(rng):
    for _ in range(200):
        rows, columns = rng.randint(1, 7), rng.randint(2, 7)
        m = numbered(rows, columns)
        (down, i), (across, j) = picks(rng, rows), picks(rng, columns)
        key = (down, across)
        if rng.random() < 0.3:
            i = [rng.randrange(rows) for _ in range(rng.randint(1, 5))]
            key, j = ([x - rng.choice([0, rows]) for x in i], slice(None)), list(range(columns))
        elif rng.random() < 0.3:
            j = [rng.randrange(columns) for _ in range(rng.randint(1, 5))]
            key, i = (slice(None), [x - rng.choice([0, columns]) for x in j]), list(range(rows))
        got = m[key]
        expected = [[float(r * columns + c) for c in j] for r in i]
        assert ([[got]] if isinstance(got, float) else got.tolist()) == expected

        shape = rng.choice([(len(i), len(j)), (1, len(j)), (len(i), 1), (1, 1)])
        value = [[rng.random() for _ in range(shape[1])] for _ in range(shape[0])]
        expected = m.tolist()
        for (a, r), (b, c) in itertools.product(enumerate(i), enumerate(j)):
            expected[r][c] = value[min(a, shape[0] - 1)][min(b, shape[1] - 1)]
        m[key] = value[0][0] if shape == (1, 1) and rng.random() < 0.5 else Matrix(*shape, sum(value, []))
        assert m.tolist() == expected


def test_assigning_flat_values():
    m = numbered(3, 3)
    m[0] = [7, 8, 9]
    m[:, 2] = (1, 2, 3)
    m[1:, :2] = [4, 5, 6, 7]
    assert m.tolist() == [[7, 8, 1], [4, 5, 2], [6, 7, 3]]
    m[0] = Matrix(3, 1, [1, 2, 3])
    assert m[0].tolist() == [[1, 2, 3]]
    m[[2, 2]] = Matrix(2, 3, [1, 1, 1, 2, 2, 2])
    assert m[2].tolist() == [[2, 2, 2]]
    m[0, 0] = Matrix(1, 1, 5)
    m[0, 1] = [6]
    assert m[0].tolist() == [[5, 6, 3]]


def test_a_part_of_itself():
    m = numbered(3, 3)
    m[:] = m
    assert m == numbered(3, 3)
    m[[2, 1, 0]] = m
    assert m.tolist() == [[6, 7, 8], [3, 4, 5], [0, 1, 2]]
    m[0] += 1
    m[:, [0]] *= 2
    assert m.tolist() == [[14, 8, 9], [6, 4, 5], [0, 1, 2]]


@pytest.mark.parametrize(
    "key, value",
    [(0, [1, 2]), (0, [1, 2, 3, 4]), ((0, 0), [1, 2]), (slice(None), Matrix(2, 2)), ((slice(2), slice(2)), Matrix(4, 2))],
)
def test_assigning_the_wrong_shape_writes_nothing(key, value):
    m = numbered(3, 3)
    with pytest.raises(ValueError, match=r"\dx\d.*\dx\d"):
        m[key] = value
    assert m == numbered(3, 3)


@pytest.mark.parametrize("value", ["a", None, 1j, ["a", 1, 2], [[1, 2, 3]], {}])
def test_assigning_what_is_no_number(value):
    m = numbered(3, 3)
    for key in [0, (0, 0), slice(None), [0]]:
        with pytest.raises(TypeError):
            m[key] = value
    assert m == numbered(3, 3)


# --- The buffer protocol, pickle ------------------------------------------------------------------


def test_a_memoryview_is_the_matrix():
    m = numbered(2, 3)
    view = memoryview(m)
    assert (view.format, view.shape, view.strides, view.itemsize) == ("d", (2, 3), (24, 8), 8)
    assert not view.readonly and view.c_contiguous and view.tolist() == m.tolist()
    view[1, 2] = 50
    assert m[1, 2] == 50
    m[0, 0] = -1
    assert view[0, 0] == -1
    assert bytes(view) == array.array("d", m.values()).tobytes()
    del m
    gc.collect()
    assert view[1, 2] == 50


def test_an_export_holds_the_shape():
    m = numbered(2, 3)
    with memoryview(m), memoryview(m):
        with pytest.raises(BufferError, match="2 times"):
            m.transpose(in_place=True)
        m += 1
        assert m.shape == (2, 3)
    m.transpose(in_place=True)
    assert m.shape == (3, 2)
    square = numbered(2, 2)
    with memoryview(square) as view:
        square.transpose(in_place=True)
        assert view.tolist() == [[0, 2], [1, 3]]


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_from_buffer_converts_native_numbers(code):
    assert Matrix.from_buffer(array.array(code, [1, 2, 3])).tolist() == [[1, 2, 3]]


def test_from_buffer():
    m = numbered(3, 4)
    assert Matrix.from_buffer(m) == m
    assert Matrix.from_buffer(memoryview(m)[::-2]).tolist() == m[::-2].tolist()
    assert Matrix.from_buffer(b"\x01\x02").tolist() == [[1, 2]]
    copied = Matrix.from_buffer(m)
    copied[0, 0] = 9
    assert m[0, 0] == 0
    with pytest.raises(TypeError):
        Matrix.from_buffer([1, 2])
    with pytest.raises(TypeError, match="format"):
        Matrix.from_buffer(memoryview(b"ab").cast("c"))
    with pytest.raises(ValueError, match="dimensions.*3"):
        Matrix.from_buffer(memoryview(bytes(8)).cast("B", (2, 2, 2)))
    with pytest.raises(ValueError):
        Matrix.from_buffer(b"")


def test_numpy_sees_the_same_elements():
    numpy = pytest.importorskip("numpy")
    m = numbered(2, 3)
    a = numpy.asarray(m)
    a[0, 1] = 77
    assert m[0, 1] == 77 and a.base is not None
    assert Matrix.from_buffer(a.T[::-1]).tolist() == a.T[::-1].tolist()
    assert type(m + a) is numpy.ndarray and (m + a).tolist() == (a + m).tolist()
    assert (m * numpy.float32(2)).tolist() == (a * 2).tolist()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    m = numbered(2, 3)
    assert pickle.loads(pickle.dumps([m, m], protocol)) == [m, m]
    assert m.tolist() == numbered(2, 3).tolist()


def test_pickle_out_of_band_copies_only_at_the_end():
    m = Matrix(100, 100, 3)
    buffers = []
    data = pickle.dumps(m, 5, buffer_callback=buffers.append)
    assert len(data) < 200 and [len(buffer.raw()) for buffer in buffers] == [80_000]
    assert pickle.loads(data, buffers=buffers) == m
    with pytest.raises(ValueError):
        pickle.loads(data, buffers=[b"too short"])


# --- Printed form ---------------------------------------------------------------------------------


def test_repr():
    assert repr(Matrix(2, 2, [1, 2.5, -3, 4])) == "Matrix([[ 1.0  2.5]\n        [-3.0  4.0]])"
    assert str(Matrix(1, 2, [1, 2])) == "[[1. 2.]]"
    large = repr(numbered(200, 200))
    assert "..." in large and len(large) < 600


def test_help_tells_how_to_call():
    assert str(inspect.signature(Matrix)) == "(rows, columns, values=None)"
    assert str(inspect.signature(Matrix(1, 1).add)) == "(other, /, *, out=None)"
    undocumented = [name for name in vars(Matrix) if not name.startswith("_") and not getattr(Matrix, name).__doc__]
    assert undocumented == []


# --- Moving ---------------------------------------------------------------------------------------

USES = [
    lambda m: m.rows,
    lambda m: m.shape,
    lambda m: m.T,
    lambda m: len(m),
    lambda m: bool(m),
    lambda m: m[0],
    lambda m: m[0, 0],
    lambda m: m.__setitem__((0, 0), 1),
    lambda m: m + 1,
    lambda m: 1 + m,
    lambda m: Matrix(2, 2) + m,
    lambda m: Matrix(2, 2) @ m,
    lambda m: m.__iadd__(1),
    lambda m: Matrix(2, 2).add(1, out=m),
    lambda m: -m,
    lambda m: abs(m),
    lambda m: m.sum(),
    lambda m: m.sum(0),
    lambda m: Matrix(2, 2).sum(where=m),
    lambda m: m == m,
    lambda m: m < 1,
    lambda m: m.copy(),
    lambda m: m.tolist(),
    lambda m: list(m),
    lambda m: m.values(),
    lambda m: m.transpose(in_place=True),
    lambda m: memoryview(m),
    lambda m: Matrix.from_buffer(m),
    lambda m: pickle.dumps(m),
    lambda m: copy.deepcopy(m),
    lambda m: Matrix.concat([m]),
    lambda m: Matrix(2, 2).__setitem__(0, m),
    lambda m: Cown(m),
]


@pytest.mark.parametrize("use", USES)
def test_after_it_moved_every_use_says_so(use):
    m = numbered(2, 2)
    assert m.acquired
    Cown(m)
    assert not m.acquired
    with pytest.raises(RuntimeError, match="moved"):
        use(m)
    assert "moved" in repr(m) and "moved" in str(m)


def test_iterators_notice_that_it_moved():
    m = numbered(2, 2)
    rows, values = iter(m), m.values()
    next(rows), next(values)
    Cown(m)
    for iterator in [rows, values]:
        with pytest.raises(RuntimeError, match="moved"):
            next(iterator)


def test_the_elements_arrive(quiet):
    m = numbered(100, 70)
    cown = Cown(m)

    @when(cown)
    def total(cown, scale=numbered(1, 70)):
        cown.value *= scale
        cown.value[0, 0] = -1
        return cown.value.sum(axis=1)

    wait(30)
    expected = numbered(100, 70) * numbered(1, 70)
    expected[0, 0] = -1
    back = cown.unwrap()
    assert back.acquired and back == expected
    assert total.unwrap() == expected.sum(axis=1)


def test_it_crosses_inside_of_anything(quiet):
    shared = numbered(2, 2)
    cown = Cown({"pair": [shared, shared], "box": Box(numbered(1, 2))})
    assert not shared.acquired

    @when(cown)
    def _(cown):
        first, second = cown.value["pair"]
        first[0, 0] = 50
        cown.value["same"] = first is second and second[0, 0] == 50
        cown.value["box"].content[0, 1] = 60

    wait(30)
    value = cown.unwrap()
    assert value["same"] and value["pair"][0] is value["pair"][1]
    assert value["pair"][1].tolist() == [[50, 1], [2, 3]]
    assert value["box"].content.tolist() == [[0, 60]]


def test_a_captured_matrix_moves_at_the_decorator(quiet):
    m = numbered(2, 2)

    @when()
    def result(m=m):
        return m

    with pytest.raises(RuntimeError, match="moved"):
        m.sum()
    wait(30)
    assert result.unwrap() == numbered(2, 2)


def test_an_export_in_a_body_fails_that_behavior_only(quiet):
    cown = Cown(numbered(2, 2))
    keep = Cown(None)

    @when(cown, keep)
    def result(cown, keep):
        global exported
        exported = memoryview(cown.value)
        cown.value = [cown.value]

    @when(keep)
    def later(keep):
        return "ran"

    wait(30)
    with pytest.raises(Exception, match="export"):
        result.unwrap()
    assert later.unwrap() == "ran"


def test_an_exported_matrix_does_not_move():
    m = numbered(2, 2)
    with memoryview(m) as view:
        with pytest.raises(BufferError, match="exported"):
            Cown(m)
        view[0, 0] = 5
    assert m.acquired and m[0, 0] == 5
    Cown(m)
    assert not m.acquired


def test_a_refused_move_leaves_everything_in_place():
    a, b = numbered(2, 2), numbered(2, 2)
    with memoryview(b):
        with pytest.raises(BufferError):
            Cown([a, b])
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        Cown([a, b, lambda: None])
    assert a.acquired and b.acquired and a == b


def test_moving_while_an_operand_is_made():
    """Python code that runs in the middle of an operation can't pull the matrix from under it."""
    m = numbered(2, 2)

    class Thief:
        def __float__(self):
            Cown(m)
            return 1.0

    with pytest.raises(RuntimeError, match="moved"):
        m[0] = [Thief(), 2]
    m = numbered(2, 2)
    with pytest.raises(RuntimeError, match="moved"):
        m + Thief()
    m = numbered(2, 2)

    class IndexThief:
        def __index__(self):
            Cown(m)
            return 0

    with pytest.raises(RuntimeError, match="moved"):
        m[IndexThief(), 0]


def test_a_list_that_changes_while_it_is_read():
    class Change:
        def __init__(self, change):
            self.change = change

        def __float__(self):
            self.change()
            return 2.0

    values = [1.0] * 3
    values[0] = Change(values.clear)
    with pytest.raises(ValueError, match="3 values, not 1"):
        Matrix(1, 3, values)
    values = [Change(lambda: values.append(3.0)), 1.0]
    assert Matrix(1, 3, values).tolist() == [[2, 1, 3]]


def test_memory_is_given_back():
    before = sys.getallocatedblocks()
    for _ in range(2000):
        m = numbered(3, 3)
        m + m, m @ m, m[0], m.T, list(m), list(m.values()), memoryview(m).tolist(), repr(m), m.sum(0)
        pickle.loads(pickle.dumps(m, 5))
        with pytest.raises(ValueError):
            m + [1, 2]
    gc.collect()
    assert sys.getallocatedblocks() - before < 1000


def test_no_weak_references_nor_subclasses():
    with pytest.raises(TypeError):
        weakref.ref(Matrix(1, 1))
    with pytest.raises(TypeError):
        type("Sub", (Matrix,), {})
