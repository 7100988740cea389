"""What a Matrix computes, against plain lists."""

import itertools
import math
import operator

import pytest

from bocage import Matrix
from matrices import INF, NAN, elements, numbered, same

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv]
METHODS = [Matrix.add, Matrix.subtract, Matrix.multiply, Matrix.divide]


def divide(x, y):
    """``x / y`` as IEEE 754 has it."""
    if y:
        return x / y
    return NAN if not x or x != x else math.copysign(INF, x) * math.copysign(1.0, y)


NAIVE = [operator.add, operator.sub, operator.mul, divide]


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
            if left == shape:
                assert IN_PLACE[which](x, y) is x
                assert same(elements(x), expected)
            else:
                with pytest.raises(ValueError):
                    IN_PLACE[which](x, y)
                assert elements(x) == sum(a, [])


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


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("small", [(1, 1), (1, 3), (2, 1)])
def test_in_place_never_becomes_another_matrix(which, small):
    x = other_name = Matrix(*small, 1)
    shape = f"{x.rows}x{x.columns}"
    for larger, its_shape in [(Matrix(2, 3, 1), "2x3"), (Matrix(2, 1, 1), "2x1"), ([1, 1, 1], "1x3")]:
        if its_shape == shape:
            continue
        with pytest.raises(ValueError, match=f"{shape} and {its_shape}"):
            x = IN_PLACE[which](x, larger)
        with pytest.raises(ValueError, match=f"{shape} and {its_shape}"):
            METHODS[which](x, larger, out=x)
        if isinstance(larger, Matrix):
            with pytest.raises(ValueError, match=f"{its_shape} and {shape}"):
                METHODS[which](larger, x, out=x)
    assert x is other_name and x == Matrix(*small, 1)


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
        with pytest.raises(ValueError, match="axis"):
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
