"""The type Matrix, from Python: making, shape, order, the printed form."""

import array
import copy
import gc
import inspect
import operator
import pickle
import sys
import weakref
from collections import deque
from fractions import Fraction

import pytest

from bocage import Matrix
from matrices import NAN, numbered


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
    for axis in [2, -3, 10**30]:
        with pytest.raises(ValueError, match="axis"):
            Matrix.concat([a], axis)
    for axis in [None, "a", 0.0]:
        with pytest.raises(TypeError, match="axis"):
            Matrix.concat([a], axis)
    for values in [a, "b", 3, None, [a, "b"], [a, None]]:
        with pytest.raises(TypeError):
            Matrix.concat(values)


def test_any_sequence_will_do():
    m = numbered(2, 2)
    assert Matrix.concat(deque([m, range(2)])).tolist() == [[0, 1], [2, 3], [0, 1]]
    assert Matrix.zeros(deque([1, 2])) == Matrix.zeros((1, 2))
    assert Matrix.vector(deque([1, 2])).tolist() == [[1, 2]]
    assert Matrix(1, 2, deque([1, 2])).tolist() == [[1, 2]]


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
