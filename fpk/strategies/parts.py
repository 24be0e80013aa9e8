r"""What whole problems are made of: initial laws, drifts and diffusions that grids of a moderate size can hold."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fpk.problem import Problem
from fpk.strategies.densities import mixtures
from fpk.strategies.motions import DIFFUSIONS, diffusions, drifts


@dataclass(frozen=True)
class Sizes:
    """What problems are made of in one dimension: what grids of a moderate size can hold.

    Parameters
    ----------
    reach, min_std, max_std : float
        Of the means and of the standard deviations of the initial laws.
    noise : (float, float)
        The range of the diffusion.
    condition : float
        The most of G Gᵀ and of covariances that problems are drawn with.
    lipschitz : float
        The most that drifts are drawn with, whatever is allowed.
    """

    reach: float
    min_std: float
    max_std: float
    noise: tuple[float, float]
    condition: float
    lipschitz: float


SIZES = {
    1: Sizes(2.0, 0.25, 1.5, (0.5, 1.5), 1.0, math.inf),
    2: Sizes(1.5, 0.4, 1.2, (0.5, 1.5), 4.0, math.inf),
    3: Sizes(0.5, 0.8, 1.2, (0.9, 1.3), 2.0, 1.5),
}


def starts(dimension: int) -> SearchStrategy[Any]:
    """Initial laws of problems: mixtures of at most two components, which grids of a moderate size can hold.

    Parameters
    ----------
    dimension : int

    Returns
    -------
    SearchStrategy of GaussianMixture
        Shrinks to ``Gaussian(0.0, 1.0)``.
    """
    sizes = SIZES[dimension]
    return mixtures(
        min_dimension=dimension,
        max_dimension=dimension,
        max_components=2,
        reach=sizes.reach,
        min_std=sizes.min_std,
        max_std=sizes.max_std,
    )


def noises(dimension: int, kinds: Collection[str] = DIFFUSIONS) -> SearchStrategy[Any]:
    """Diffusions of problems in this dimension."""
    sizes = SIZES[dimension]
    known = [kind for kind in kinds if dimension > 1 or kind != "matrix"]
    low, high = sizes.noise
    exactly = {"min_dimension": dimension, "max_dimension": dimension}
    return diffusions(**exactly, low=low, high=high, condition=sizes.condition, kinds=known)


def drifts_of(dimension: int, lipschitz: float, kind: str) -> SearchStrategy[Any]:
    """Drifts of problems in this dimension: linear ones, or wavy ones."""
    most = min(lipschitz, SIZES[dimension].lipschitz)
    return drifts(min_dimension=dimension, max_dimension=dimension, lipschitz=most, kinds=[kind])


def posed(drift: Any, diffusion: Any, initial: Any, horizon: float, **others: Any) -> SearchStrategy[Problem]:
    """The problems of these parts, told without what they have by default."""
    told = {**others, **({} if horizon == 1 else {"horizon": st.just(horizon)})}
    return st.builds(Problem, drift, diffusion, initial=initial, **told)
