"""The stubs: what they accept, what they refuse, and that they match what is there."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bocage

HERE = Path(__file__).parent
PROGRAM = HERE / "typed.py"
PACKAGE = Path(bocage.__file__).parent


def check(tool: str, *arguments: str, folder: Path) -> str:
    if importlib.util.find_spec(tool.partition(".")[0]) is None:
        pytest.skip(f"{tool} is not installed")
    environment = {**os.environ, "MYPY_CACHE_DIR": str(folder / "cache")}
    if PACKAGE.parent.name != "site-packages":
        environment["MYPYPATH"] = str(PACKAGE.parent)
    ran = subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=folder,
    )
    return ran.stdout + ran.stderr


def expected_errors() -> list[int]:
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if line.endswith("# error")]


@pytest.mark.timeout(400)
def test_mypy_refuses_exactly_the_mistakes(tmp_path: Path) -> None:
    output = check("mypy", "--strict", str(PROGRAM), folder=tmp_path)
    found = [int(line) for line in re.findall(r"typed\.py:(\d+): error", output)]
    assert sorted(set(found)) == expected_errors(), output


@pytest.mark.timeout(400)
def test_the_stubs_match_the_package(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.write_text("bocage\\._[a-z].*\n", encoding="utf-8")
    output = check("mypy.stubtest", "bocage", "--allowlist", str(private), "--ignore-unused-allowlist", folder=tmp_path)
    assert "Success" in output, output


def test_all_names_what_the_package_has() -> None:
    assert sorted(name for name in vars(bocage) if not name.startswith("_")) == sorted(
        {*bocage.__all__} - {"__version__"}
    )
