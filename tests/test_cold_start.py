"""A process with an empty compilation cache solves without a long wait; one with a filled cache hardly waits at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import time
import fpk
problem = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.2))
start = time.process_time()
fpk.solve(problem, fpk.Grid(-6, 6, cells=72), times=[1.0])
print(time.process_time() - start)
"""


def first_solve(cache: Path) -> float:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def test_the_first_solve_compiles_quickly_and_the_next_process_finds_it_compiled(tmp_path: Path) -> None:
    """CPU seconds; the bound is twice the three seconds that the study of speed asks for on a quiet machine."""
    cold, cached = first_solve(tmp_path), first_solve(tmp_path)
    assert cold < 6.0
    assert cached < cold / 2
