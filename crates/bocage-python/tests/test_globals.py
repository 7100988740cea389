"""Globals that no body names: what values bring along, and what the program did not come to yet."""

from programs import Program
from test_functions import refusing_module


# --------------------------------------------------------------- what cannot cross


USES = """
K [K] {K:1} {K} K==2.0 2.0!=K K<3 -K +K ~K abs(K) K**2 2**K 2<<K K@K K//2 2%K divmod(K,2) K&1 isinstance(K,float)
f'{K}' f'{K!r}' '%s'%K hash(K) round(K) int(K) complex(K) bytes(K) [1][K] range(K) K.real K() K[0] len(K) list(K) next(K)
bool(K) dir(K) reversed(K) os.fspath(K) copy.copy(K) copy.deepcopy(K) pickle.dumps(K) math.floor(K)
"""


def test_a_global_that_the_worker_cannot_have_gives_import_error_whatever_is_done_with_it(program: Program) -> None:
    program.write("picky.py", f"import {refusing_module()}\nclass Number(float): pass\nK = Number(2)\n")
    uses = USES.split()
    bodies = "\n".join(f"@when()\ndef f{index}(): return {use}" for index, use in enumerate(uses))
    out = program.main(
        f"""
from picky import K
import copy, math, os, pickle
{bodies}
@when()
def fine(): return 1
print(fine.result(60))
for index in range({len(uses)}):
    try:
        print(index, globals()[f"f{{index}}"].result(60))
    except ImportError as error:
        if "'K' of the main program is not available" not in str(error):
            print(index, error)
"""
    )
    assert out == "1\n"


def test_a_global_matrix_stays_with_the_program(program: Program) -> None:
    out = program.main(
        """
        G = Matrix(2, 2, [1, 2, 3, 4])
        H = [Matrix(1, 1, 5)]
        view = memoryview(G)
        class Box:
            def __init__(self, m): self.m = m
        B = Box(Matrix(1, 1, 6))
        @when()
        def f():
            G[0, 0] = 100
            return G.sum(), H[0].sum(), B.m.sum()
        print(f.result(60), G.sum(), H[0].sum(), B.m.sum(), view[0, 0])
        """
    )
    assert out == "(109.0, 5.0, 6.0) 10.0 5.0 6.0 1.0\n"
