"""Matrices that tests start from, and when two of them are alike."""

import itertools
import math

from bocage import Matrix

NAN, INF = math.nan, math.inf


def elements(matrix):
    return list(matrix.values())


def same(left, right):
    """Equal elements, NaN to NaN."""
    pairs = itertools.zip_longest(left, right)
    return all(l == r or (l != l and r != r) for l, r in pairs)


def numbered(rows, columns):
    """A matrix of 0, 1, 2, ... in row-major order."""
    return Matrix(rows, columns, range(rows * columns))
