"""Compiling ahead: in a fresh installation a second process compiles what grids and particles call while a run begins with other things.

Numba keeps machine code on disk, so this happens once. ``python -m fpk.compile_ahead`` does it by hand; nothing depends on it but time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def compiling_ahead() -> Iterator[subprocess.Popen[bytes] | None]:
    """Compile in a second process meanwhile, where nothing is compiled yet and there is a second processor."""
    if (os.cpu_count() or 1) < 2 or _compiled():
        yield None
        return
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-m", __name__], **quiet) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.terminate()


def _compiled() -> bool:
    """Whether the loop that is compiled last is kept on disk, or none is ever compiled."""
    from fpk.fokker_planck.product._lines import march

    cache = getattr(march, "_cache", None)  # nothing is compiled with NUMBA_DISABLE_JIT=1
    return cache is None or any(Path(cache.cache_path).glob("_lines.march-*.nbi"))


def compile_loops() -> None:
    """Call everything once, in the order in which runs need it."""
    _on_the_line()
    _on_product_grids()


def _on_the_line() -> None:
    """Solve and simulate with steady and with moving coefficients, between walls and without."""
    import numpy as np

    import fpk
    from fpk.particles.densities import smoothed_density

    grid, start, walls = fpk.Grid(-4, 4, cells=32), fpk.Gaussian(0.0, 0.5), fpk.Boundary("no_flux", -4, 4)
    for drift, noise in (("-x", "0.8"), ("sin(2*x) - t*x", "0.8 + t/9"), ("-x", "0.8 + sin(x)/9")):
        problem = fpk.Problem(drift, noise, initial=start)
        fpk.solve(problem, grid, times=[0.1], steps=2)
        fpk.solve(dataclasses.replace(problem, boundary=walls), grid, times=[0.1], steps=2)
        fpk.solve(problem, grid, times=[0.1], steps=2, positive=True)
    run = fpk.simulate(problem, particles=64, steps=2, times=[0.1], seed=0)
    run.expect(fpk.law_panel({0.1: start}))
    at, means = np.linspace(-1, 1, 64)[:, None], np.linspace(-2, 2, 20_000)[:, None]
    smoothed_density(at, means, np.array([[0.1]]))
    smoothed_density(at, means[::100], np.full((200, 1), 0.1))


def _on_product_grids() -> None:
    """Every scheme on small product grids, forward and back, with steady and with moving coefficients."""
    import numpy as np

    from fpk import Gaussian, Grid, Problem
    from fpk.errors import SchemeError
    from fpk.fokker_planck.product.alternating import ALTERNATING
    from fpk.fokker_planck.product.carried import CARRIED
    from fpk.fokker_planck.product.discretisation import ACCURATE, POSITIVE, discretised

    for d in (2, 3):
        start, grid = Gaussian(np.zeros(d), 0.5), Grid(-4, 4, cells=12) ** d
        drifts = ["-x0 + x1/2", "sin(x0) - x1", "-x2"][:d], ["-x0 + t*x1/2", "sin(x0) - x1", "-x2"][:d]
        wavy = [[f"{0.2 + (i == k)} + sin(x{k})/9" for k in range(d)] for i in range(d)]
        for scheme in (ACCURATE, POSITIVE, CARRIED, ALTERNATING):
            for drift, noise in itertools.product(drifts, (np.linalg.cholesky(np.eye(d) + 0.2), wavy)):
                problem = Problem(drift, noise, initial=start)
                with contextlib.suppress(SchemeError):
                    plan = discretised(problem, grid, until=0.1, steps=2, scheme=scheme)
                    p = next(p for _, p in plan.forward(plan.start, (0.1,)))
                    list(plan.back(p, (0.05, 0.1)))


if __name__ == "__main__":
    compile_loops()
