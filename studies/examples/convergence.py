"""A convergence report: errors of my scheme at several step sizes, the order in them with its uncertainty, and a picture.

You learn the evidence of an order: errors, how wrong each may be, the steps. Running this file writes the report.
"""

import numpy as np

import fpk
from fpk.command_line import main
from fpk.study import Claim, Evidence, study

EXPECTED = {"stated": fpk.Outcome.CONFIRMED, "Euler's method": fpk.Outcome.REFUTED}
STATEMENT, FORMULA = "Heun's method follows an ordinary differential equation with order 2.", "|X_h(1) - X(1)| = O(h^2)"
CLAIMS = (Claim("mine.heun", "order", STATEMENT, FORMULA, "Heun (1900)", EXPECTED),)


@study("mine.heun", variants={"stated": True, "Euler's method": False})
def heun(variant, case, size, seed):
    """Errors at t = 1 of dx/dt = sin(2x) − x from x = 1, against the solution to round-off."""
    counts, exact = 2 ** np.arange(3, 8), moved(4096, heun=True, richardson=True)
    errors = fpk.Estimate(
        np.array([moved(n, heun=variant) - exact for n in counts]), np.full(5, 1e-12), source="errors"
    )
    return Evidence(errors, fpk.Estimate(1 / counts, np.zeros(5), source="order 2"), ("2",))


def moved(steps, *, heun, richardson=False):
    """X(1), one step after the other."""
    x, h, f = 1.0, 1 / steps, lambda x: np.sin(2 * x) - x
    for _ in range(steps):
        x += h * (f(x) + f(x + h * f(x))) / 2 if heun else h * f(x)
    return (4 * x - moved(steps // 2, heun=heun)) / 3 if richardson else x


if __name__ == "__main__":
    main(["run", __file__, "--quick"])
