"""The first result of a process whose compilation cache is empty."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import numpy as np

from fpk.laws import Array

PROGRAM = """
import time
start = time.process_time()
import fpk
problem = {problem}
loaded = time.process_time() - start
seconds = []
for _ in range(2):
    start = time.process_time()
    {call}
    seconds.append(time.process_time() - start)
print(*seconds, loaded)
"""
RELAXATION = 'fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.2))'
SOLVE = "fpk.solve(problem, fpk.Grid(-6, 6, cells=72), times=[1.0])"


def first_solves(processes: int) -> Array:
    """:func:`first_results` of a solve."""
    return first_results(RELAXATION, SOLVE, processes)


def first_results(problem: str, call: str, processes: int) -> Array:
    """CPU seconds of the first and of the second call, and of the imports with the problem, in fresh processes; shape (processes, 3)."""
    return np.array([_first_result(PROGRAM.format(problem=problem, call=call)) for _ in range(processes)])


def _first_result(program: str) -> list[float]:
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {"NUMBA_CACHE_DIR": empty}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
    return [float(word) for word in run.stdout.split()]
