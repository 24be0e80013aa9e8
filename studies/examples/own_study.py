"""A study of my own: one claim, two routes that know nothing of each other, and wrong variants that must be refuted.

You learn what a claim, a control and evidence are. ``fpk run studies/examples/own_study.py`` writes the report; so does running this file.
"""

import math

import fpk
from fpk.command_line import main
from fpk.study import Claim, evidence, study

CLAIMS = (
    Claim(
        "mine.spring",
        "equality",
        "From N(2, 0.3²), dX = −X dt + √2 dW has the law N(2e^{−t}, 1 − 0.91 e^{−2t}).",
        r"X_t\sim N\left(2e^{-t},\ 1 - 0.91\,e^{-2t}\right)",
        "Ornstein and Uhlenbeck (1930)",
        {"stated": fpk.Outcome.CONFIRMED, "½ missing on g²": fpk.Outcome.REFUTED, "g² + 2 %": fpk.Outcome.REFUTED},
    ),
)


@study("mine.spring", variants={"stated": 1.0, "½ missing on g²": 2.0, "g² + 2 %": 1.02})
def spring(variant, case, size, seed):
    """The equation on a grid against the law on paper; the variant is a factor on g²."""
    times = (0.3, 1.0)
    problem = fpk.Problem("-x", (2.0 * variant) ** 0.5, initial=fpk.Gaussian(2.0, 0.3))
    grid = fpk.solve(problem, fpk.Grid(-6, 8, cells=size.cells(96)), times=times)
    laws = {t: fpk.Gaussian(2 * math.exp(-t), math.sqrt(1 - 0.91 * math.exp(-2 * t))) for t in times}
    return evidence(fpk.LawMarginals(laws, times, source="on paper"), grid, panel=fpk.law_panel(laws))


if __name__ == "__main__":
    main(["run", __file__, "--quick"])
