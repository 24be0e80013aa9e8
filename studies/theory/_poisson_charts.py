"""What the report draws of Poisson flow: lines from a hemisphere to the data, ends of starts on a plane, the bias of batches, and sinks."""

from __future__ import annotations

import itertools

import numpy as np

from fpk.charts import Chart, Series
from fpk.laws import Array
from fpk.samplers import PoissonField
from fpk.samplers.poisson import coulomb, followed

from ._poisson import LINE, walked
from ._poisson_batches import bias
from ._poisson_collapse import CLUSTERS, STARTS, clusters


def lines_home() -> Chart:
    """Lines from even angles on a half circle of radius 6 down to the line of the charges."""
    angle, heights = np.pi * (np.arange(9) + 0.5) / 9, np.geomspace(1.0, 1e-3, 25)
    start = 6 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x, tracks = start[:, :1], [start[:, :1]]
    for before, after in itertools.pairwise(heights):
        x = followed(PoissonField(LINE), x, before * start[:, 1:], after * start[:, 1:], steps=2)
        tracks.append(x)
    lines = tuple(
        Series(f"from {np.degrees(a):.0f}°", np.array([t[k, 0] for t in tracks]), s[1] * heights, kind="line")
        for k, (a, s) in enumerate(zip(angle, start, strict=True))
    )
    return Chart("Lines from even angles end at even shares of the data", "x", "z", lines, marks={"median": _median()})


def _median() -> float:
    x = np.linspace(-2, 3, 2001)
    return float(np.interp(0.5, LINE.cdf(x), x))


def ends(starts: dict[str, tuple[Array, Array]]) -> Chart:
    """Distribution functions of weighted ends (x, weights) on the line, and that of the data."""
    x = np.linspace(-2.5, 3.5, 121)
    series = [Series("data", x, LINE.cdf(x), kind="reference")]
    for name, (places, weights) in starts.items():
        order = np.argsort(places)
        below = np.cumsum(weights[order]) - 0.5 * weights[order]
        series.append(Series(name, places[order], below))
    return Chart("Where starts on the plane z = 64 end", "x", "P(X ≤ x)", tuple(series))


def batch_sizes() -> Chart:
    """Lengths of the bias against the size of batches."""
    sizes = 2 ** np.arange(8)
    lengths = np.array([np.linalg.norm(bias(int(b)).reshape(-1, 2), axis=1) for b in sizes])
    series = [
        Series(f"place {k + 1}", sizes.astype(float), lengths[:, k], kind="line") for k in range(lengths.shape[1])
    ]
    slope = Series("1/|B|", sizes.astype(float), 0.5 / sizes, kind="reference")
    return Chart("Bias of the mean unit vector", "|B|", "bias", (*series, slope), log_x=True, log_y=True)


def sinks(name: str) -> Chart:
    """Ways of the backward flow without z in the plane."""
    charges, x = clusters(name), STARTS[name]
    tracks = [x]
    for _ in range(40):
        x = walked(lambda y: -coulomb(charges, y), x, 8.0, 4)
        tracks.append(x)
    ways = np.array(tracks)
    lines = tuple(Series(f"particle {k + 1}", ways[:, k, 0], ways[:, k, 1], kind="line") for k in range(ways.shape[1]))
    centres = Series("centres of the data", CLUSTERS[name][:, 0], CLUSTERS[name][:, 1])
    return Chart(f"Backward without z: {name}", "x₁", "x₂", (*lines, centres))
