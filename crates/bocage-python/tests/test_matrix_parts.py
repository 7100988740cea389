"""Reading and assigning parts of a Matrix, against plain lists."""

import itertools

import pytest

from bocage import Matrix
from matrices import numbered


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


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (3, 2)])
def test_length_index_and_iteration_agree_on_vectors_too(shape):
    m = numbered(*shape)
    rows = [m[i] for i in range(len(m))]
    assert rows == list(m) and [type(row) for row in rows] == [type(row) for row in m]
    assert {type(row) for row in rows} == {Matrix if m.columns > 1 else float}
    assert [m[i - len(m)] for i in range(len(m))] == rows
    m[len(m) - 1] = 9
    assert m[-1] == 9
    for beyond in [len(m), -len(m) - 1]:
        with pytest.raises(IndexError):
            m[beyond]
        with pytest.raises(IndexError):
            m[beyond] = 1


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
    with pytest.raises(IndexError):
        numbered(3, 4)[key]
    with pytest.raises(IndexError):
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
