"""Globals that no body names: what values bring along, and what the program did not come to yet."""

from programs import Program


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
