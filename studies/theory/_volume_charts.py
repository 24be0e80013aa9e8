"""Pictures of images of densities, of paths, and of trained laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fpk.charts import Chart, Series
from fpk.laws import Array, GaussianMixture
from fpk.models.normalizing import NormalizingFlow

from ._volume import Map, Motion


def image_chart(density: Callable[[Array], Array], back: Map, law: GaussianMixture) -> Chart:
    """A density that is claimed for the image of a law on the line, and masses of the image over short intervals."""
    y = np.linspace(-3.0, 3.5, 131)
    masses = np.abs(np.diff(law.cdf(back(y[:, None])[:, 0]))) / np.diff(y)
    series = (
        Series("masses over lengths", (y[1:] + y[:-1]) / 2, masses, kind="reference"),
        Series("claimed density", y, density(y[:, None]), kind="line"),
    )
    return Chart("Image of the data under ψ", "y", "density", series)


def paths_chart(motion: Motion, until: float, title: str) -> Chart:
    """Paths in the plane from the places that are looked at."""
    x = np.stack([motion.image(motion.places, float(t)) for t in np.linspace(0.0, until, 25)])
    lines = tuple(Series(f"path {k + 1}", x[:, k, 0], x[:, k, 1], kind="line") for k in range(x.shape[1]))
    return Chart(title, "x₁", "x₂", (*lines, Series("ends", x[-1, :, 0], x[-1, :, 1])))


def trained_chart(flow: NormalizingFlow, law: GaussianMixture, title: str) -> Chart:
    """The density a flow was trained to, that of the data, and that of the base."""
    x = np.linspace(-3.0, 3.5, 131)
    series = (
        Series("data", x, law.density(x[:, None]), kind="reference"),
        Series("base", x, np.exp(flow.base.log_density(x[:, None])), kind="reference"),
        Series("trained", x, flow.density(x[:, None]), kind="line"),
    )
    return Chart(title, "x", "density", series)
