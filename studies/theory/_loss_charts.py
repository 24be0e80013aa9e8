"""What is drawn of Tweedie's formula, of the variances and losses of score matching, and of laws with equal scores."""

from __future__ import annotations

import numpy as np

from fpk.charts import Chart, Series

from ._loss_data import SETS, score_square, transport
from ._loss_laws import ISLANDS
from ._loss_observed import wells_observed
from ._loss_times import BOUNDED, GROWING, Least, loss_at
from ._loss_variances import variances


def shrinkage(noise: float) -> Chart:
    """Posterior means and Tweedie's formula for the double well."""
    y = np.linspace(-2.5, 2.5, 61)[:, None]
    seen = wells_observed(noise, 2, y)
    series = (
        Series("E[X|Y = y] by Bayes' rule", y[::3, 0], seen.mean[::3, 0]),
        Series("y + σ²∇log p(y)", y[:, 0], (y + noise**2 * seen.score)[:, 0], kind="line"),
        Series("y", y[:, 0], y[:, 0], kind="reference"),
    )
    return Chart(f"Noised data pulled back, σ = {noise:g}", "observation y", "mean of the data", series)


def spread(level: int) -> Chart:
    """Variances of single gradients over σ."""
    h = 4.0 ** -np.arange(0.0, 7.0)
    both = np.array([variances(float(v), level) for v in h])[:, :, 1]
    series = tuple(Series(what, h**0.5, both[:, k]) for k, what in enumerate(("denoising", "implicit")))
    return Chart(
        "Variance of a single gradient, for the slope of the field", "σ", "variance", series, log_x=True, log_y=True
    )


def growth(level: int) -> Chart:
    """ε times the least loss at ε, for data of several dimensions."""
    ends = 4.0 ** -np.arange(1.0, 7.0)
    found = [
        Series(name, ends, np.array([h * loss_at(name, float(h), level) for h in ends])) for name in (*GROWING, BOUNDED)
    ]
    limits = sorted({Least().growth(name) for name in (*GROWING, BOUNDED)})
    lines = [Series(f"limit {at:.3g}", ends, np.full(len(ends), at), kind="reference") for at in limits]
    title = "What is added to the loss over [ε, 1], per unit of ln 1/ε"
    return Chart(title, "ε", "ε times the loss at ε", (*found, *lines), log_x=True)


def tradeoff(case: str, level: int) -> Chart:
    """The size of the scores and the distance to the data over the noise."""
    data, sigmas = SETS[case], 2.0 ** -np.arange(0.0, 6.0)
    series = (
        Series("E|score|²", sigmas, np.array([score_square(data, float(s), level) for s in sigmas])),
        Series("W₂²", sigmas, np.array([transport(data, float(s), level) for s in sigmas])),
    )
    return Chart(f"More noise, smaller scores: {case}", "σ", "", series, log_x=True, log_y=True)


def islands() -> Chart:
    """Two laws whose scores are nearly the same."""
    two, x = ISLANDS["peaks at ±6"], np.linspace(-9.0, 9.0, 181)
    both = [
        Series(name, x, law(x), kind="line")
        for name, law in (("weights .9, .1", two.first), ("weights ½, ½", two.second))
    ]
    return Chart("Nearly equal scores, different laws", "x", "density", tuple(both))
