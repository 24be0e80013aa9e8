r"""Multilevel Monte Carlo: most particles take long steps, few take short ones, and the differences between levels are coupled.

With φ_l the functional φ at the end of paths of s 2^l steps, l = 0 ... L,

    E φ_L = E φ_0 + Σ_l E[φ_l − φ_{l−1}],

each expectation from an ensemble of its own, in which φ_l and φ_{l−1} see the same Brownian paths. A scheme of strong order p has
Var[φ_l − φ_{l−1}] = O(4^(−p l)) for Lipschitz φ, so that short steps need few particles. With the variance V_l and the cost C_l of one sample the
sampling error ε is cheapest with

    N_l = ε⁻² √(V_l / C_l) Σ_k √(V_k C_k),

and for p > ½ the whole then costs O(ε⁻²), as if there were no steps at all. Variances come from pilot ensembles of their own, so that the numbers
N_l do not depend on the samples they count.

References
----------
Giles (2008), Operations Research 56(3), 607–617; Kloeden & Platen (1992), §10 (strong orders).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import pairwise

import numpy as np

from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.marginals import ROUND_OFF, Estimate, panel_step_budget
from fpk.panels import Panel
from fpk.particles.schemes import EulerMaruyama, Scheme
from fpk.particles.simulation import MAX_LEVELS, simulate
from fpk.problem import Problem, chain_name, checked_steps, step_plan

#: Particles of a pilot, and at least of every level.
PILOT = 2048
#: Particles simulated at once.
BATCH = 2**17
#: First words of the keys that tell pilots and levels apart.
PILOTS, LEVELS = 1, 2


@dataclass(frozen=True, eq=False)
class Level:
    """What one level contributes.

    Parameters
    ----------
    steps : int
        Steps of its finer paths.
    cost : float
        Steps of one sample, both paths together.
    particles : int
        Samples N_l.
    mean : array, shape (K,)
        Of φ_l − φ_{l−1}, and of φ_0 on the first level.
    covariance : array, shape (K, K)
        Of one such difference; its diagonal is V_l.
    """

    steps: int
    cost: float
    particles: int
    mean: Array
    covariance: Array

    @property
    def variance(self) -> Array:
        """V_l of each functional, shape (K,)."""
        return np.diag(self.covariance)

    @property
    def standard_error(self) -> Array:
        """Of the mean, shape (K,)."""
        return np.sqrt(self.variance / self.particles)


@dataclass(frozen=True, eq=False)
class MultilevelEstimate:
    """All levels of one estimator, coarsest first.

    Parameters
    ----------
    levels : tuple of Level
    weak_order : float
        What the scheme declares.
    scheme : str
        The discretisation whose law this is: that of the finest steps.
    source : str
    """

    levels: tuple[Level, ...]
    weak_order: float
    scheme: str
    source: str

    @property
    def value(self) -> Array:
        """The telescoping sum, shape (K,)."""
        return np.sum([level.mean for level in self.levels], axis=0)

    @property
    def covariance(self) -> Array:
        """Of ``value``, shape (K, K)."""
        return np.sum([level.covariance / level.particles for level in self.levels], axis=0)

    @property
    def standard_error(self) -> Array:
        """Of ``value``, shape (K,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def cost(self) -> float:
        """Particle steps, without the pilots."""
        return sum(level.particles * level.cost for level in self.levels)

    @property
    def step_bias(self) -> Array:
        """Budget of the finest step, shape (K,), from the last correction.

        With the weak order q what is left is 1/(2^q − 1) ≤ 1 of the last correction; the one before it, over 2^q, stands in for a last one that
        vanishes by chance.
        """
        *earlier, last = self.levels[1:]
        reduced = np.abs(earlier[-1].mean) / 2**self.weak_order if earlier else 0.0
        return panel_step_budget(np.maximum(np.abs(last.mean), reduced), last.standard_error)

    @property
    def estimate(self) -> Estimate:
        """What a comparison needs; the samples are those of the level that has fewest."""
        return Estimate(
            self.value,
            self.step_bias + ROUND_OFF,
            covariance=self.covariance,
            samples=min(level.particles for level in self.levels),
            step_bias=self.step_bias,
            scheme=self.scheme,
            source=self.source,
        )

    def __str__(self) -> str:
        rows = ["steps   particles    largest |mean|   largest variance"]
        rows += [
            f"{level.steps:5}  {level.particles:10,}  {np.abs(level.mean).max():16.3g}  {level.variance.max():17.3g}"
            for level in self.levels
        ]
        return "\n".join(
            [*rows, f"{self.cost:.3g} particle steps, standard errors up to {self.standard_error.max():.2g}"]
        )


@dataclass(frozen=True)
class Multilevel:
    """Expectations of a problem by multilevel Monte Carlo: marginals that are computed for each panel they are asked.

    Parameters
    ----------
    problem : Problem
    times : sequence of float
        Where it can be asked, in [0, horizon]; whole multiples of the coarsest step.
    tolerance : float
        Standard error wanted, in the functional that has the largest.
    coarsest : int, default 1
        Steps of the coarsest level from 0 to the last time.
    levels : int, default 6
        At least 2; the finest has coarsest · 2^(levels − 1) steps.
    seed : int, default 0
        Every level has a stream of its own.
    scheme : Scheme, default :class:`fpk.particles.schemes.EulerMaruyama`

    Raises
    ------
    SchemeError
        For a scheme that is exact or declares no weak order, times between steps, a tolerance that is not positive, or too few or many levels.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
    >>> panel = fpk.law_panel({1.0: fpk.exact(ou, times=[1.0]).law(1.0)})
    >>> found = Multilevel(ou, times=[1.0], tolerance=0.02, coarsest=2, levels=4).on(panel)
    >>> [level.steps for level in found.levels], bool(found.standard_error.max() < 0.025)
    ([2, 4, 8, 16], True)
    """

    problem: Problem
    _: KW_ONLY
    times: Sequence[float]
    tolerance: float
    coarsest: int = 1
    levels: int = 6
    seed: int = 0
    scheme: Scheme = field(default_factory=EulerMaruyama)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", self.problem.checked_times(self.times))
        object.__setattr__(self, "coarsest", checked_steps(self.coarsest, what="Multilevel(coarsest=...)"))
        if not 2 <= self.levels <= MAX_LEVELS:
            raise SchemeError(f"Multilevel takes 2 to {MAX_LEVELS} levels, got levels={self.levels}.")
        if not (np.isfinite(self.tolerance) and self.tolerance > 0):
            raise SchemeError(f"the tolerance is the standard error wanted, positive; got {self.tolerance!r}.")
        if not 0 < self.weak_order < np.inf:
            raise SchemeError(
                f"{self.scheme} declares no finite weak order here, so there is nothing to telescope: use fpk.simulate."
            )
        self._check_times()

    def _check_times(self) -> None:
        """Levels telescope only where the steps of each are halves of the steps of the one before."""
        halves = [step_plan(self.times, self.coarsest << level) for level in range(self.levels)]
        doubled = [tuple(count << level for count, _ in halves[0]) for level in range(self.levels)]
        if [tuple(count for count, _ in plan) for plan in halves] != doubled:
            raise SchemeError(
                f"times {list(self.times)} must be multiples of the coarsest step, {self.times[-1] / self.coarsest:g}: take another coarsest=."
            )

    @property
    def weak_order(self) -> float:
        """What the scheme declares for this problem."""
        return self.scheme.orders(self.problem).weak or 0.0

    @property
    def finest(self) -> int:
        """Steps of the finest level from 0 to the last time."""
        return self.coarsest << (self.levels - 1)

    @property
    def source(self) -> str:
        """What results are called."""
        return f"multilevel particles, {self.scheme}, {self.coarsest} to {self.finest} steps, seed {self.seed}"

    def expect(self, panel: Panel) -> Estimate:
        """Expectations of the panel's smooth functionals, with the standard error of all levels and the budget of the finest step."""
        return self.on(panel).estimate

    def on(self, panel: Panel) -> MultilevelEstimate:
        """The estimator for one panel, level by level."""
        pilots = [self._level(panel, level, PILOT, PILOTS) for level in range(self.levels)]
        numbers = allocated(
            np.array([pilot.variance.max() for pilot in pilots]), np.array([p.cost for p in pilots]), self.tolerance
        )
        levels = [self._level(panel, level, int(n), LEVELS) for level, n in enumerate(numbers)]
        chain = f"{self.scheme.name} {chain_name(self.times, self.finest)}"
        return MultilevelEstimate(tuple(levels), self.weak_order, chain, self.source)

    def _level(self, panel: Panel, level: int, particles: int, key: int) -> Level:
        """Mean and covariance of one level's differences, gathered batch by batch."""
        origin, parts = 0.0, []
        for y in self._differences(panel, level, particles, key):
            origin = origin if parts else y.mean(1, keepdims=True)  # sums of squares about a place nearby
            parts.append((y.shape[1], (y - origin).sum(1), (y - origin) @ (y - origin).T))
        count, total, squares = (sum(column) for column in zip(*parts, strict=True))
        scatter = squares - np.outer(total, total) / count
        steps = self.coarsest << level
        mean = np.ravel(origin) + total / count
        return Level(steps, 1.5 * steps if level else steps, count, mean, scatter / (count - 1))

    def _differences(self, panel: Panel, level: int, particles: int, key: int) -> Iterator[Array]:
        """φ_l − φ_{l−1} (φ_0 on the first level) of consecutive batches of particles, shape (K, n)."""
        seed = int(np.random.SeedSequence(self.seed, spawn_key=(key, level)).generate_state(1, np.uint64)[0] >> 1)
        edges = np.linspace(0, particles, -(-particles // BATCH) + 1).astype(int)
        for first, end in pairwise(edges.tolist()):
            run = simulate(
                self.problem,
                particles=end - first,
                steps=self.coarsest << max(level - 1, 0),
                times=self.times,
                seed=seed,
                scheme=self.scheme,
                levels=2 if level else 1,
                first=first,
            )
            values = run.values(panel)
            yield values - run.level(1).values(panel) if level else values


def allocated(variances: Array, costs: Array, tolerance: float) -> Array:
    """The numbers N_l that reach the standard error ``tolerance`` at the least cost, at least :data:`PILOT` each.

    Parameters
    ----------
    variances, costs : array, shape (L,)
        Of one sample of each level.
    tolerance : float
    """
    shares = np.sqrt(variances / costs) * np.sum(np.sqrt(variances * costs)) / tolerance**2
    return np.maximum(np.ceil(shares), PILOT).astype(int)
