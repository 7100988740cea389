"""A Matrix that others look into, and one that moves: buffers, pickle, cowns and behaviors."""

import array
import copy
import gc
import pickle

import pytest

from bocage import Cown, Matrix, wait, when
from matrices import numbered


class Box:
    """Something that crosses by pickle."""

    def __init__(self, content):
        self.content = content


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
