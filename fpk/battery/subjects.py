"""The sampler under examination with everything that is declared about it, and its runs, each made once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from numbers import Real
from typing import Any

import numpy as np

from fpk.battery.declarations import Declaration
from fpk.battery.recording import Call, ExactModel, alone, given, numbers
from fpk.errors import ComparisonError
from fpk.fields import Index
from fpk.laws import Array, Gaussian, GaussianMixture
from fpk.samplers.coupling import quantiles

#: How the times a sampler says it visits may be written.
VISITS = ("path", "sigma", "label")
#: The law whose samples show orders: mean 3.31, variance .74, smooth enough for few steps.
SMOOTH = GaussianMixture([0.35, 0.65], [2.4, 3.8], stds=[0.4, 0.6])
#: The law with a component narrower than many a last noise level.
NARROW = GaussianMixture([0.3, 0.7], [2.4, 3.9], stds=[0.06, 0.6])
#: In the plane: off-centre, anisotropic, correlated, and its coordinates are no copies of each other.
PLANE = GaussianMixture(
    [0.4, 0.6], [[3.0, -1.0], [4.2, 1.2]], covariances=[[[0.3, 0.15], [0.15, 0.5]], [[0.6, -0.2], [-0.2, 0.25]]]
)
#: As good as a point: what is left of it is what the sampler leaves.
POINT, WIDTH = 3.3, 1e-6
SPOT = Gaussian(POINT, WIDTH)
#: Particles, where nothing else is asked for; half of them for slower libraries.
PARTICLES = 100_000
#: Step counts of the sweep, where nothing else is asked for.
COUNTS = (8, 16, 32, 64, 128)


@dataclass(frozen=True, eq=False)
class Run:
    """One run of the sampler.

    Parameters
    ----------
    steps : int
    start, end : array, shape (n, d)
        ``end`` is NaN where the sampler raised.
    calls : list of Call
    error : str
        What it raised, or nothing.
    """

    steps: int
    start: Array
    end: Array
    calls: list[Call]
    error: str = ""

    @property
    def finite(self) -> bool:
        """Whether the run ended with finite positions."""
        return not self.error and bool(np.isfinite(self.end).all())


@dataclass(eq=False)
class Subject:
    """A sampler and what is declared about it; see :func:`fpk.battery.examine_sampler` for the parameters."""

    sampler: Callable[..., Any]
    declaration: Declaration
    order: float | None = None
    stochastic: bool = False
    last_noise: bool = False
    prior: Callable[..., Any] | None = None
    times: Callable[[int], Any] | None = None
    step: Callable[..., Any] | None = None
    visits: str = "path"
    begin: float = 1.0
    end: float = 0.0
    counts: Sequence[int] = ()
    extra: Sequence[int] = ()
    law: GaussianMixture = SMOOTH
    library: str = "numpy"
    dtype: str = "float64"
    particles: int = 0
    seed: int = 0
    alpha: float = 1e-6
    tolerance: float = 0.1
    kinds: dict[str, Callable[..., Any]] = field(default_factory=dict)
    tried: int = 64

    def __post_init__(self) -> None:
        if self.visits not in VISITS:
            raise ComparisonError(f"visits={self.visits!r} is none of {', '.join(map(repr, VISITS))}.")
        if self.order is not None and not (isinstance(self.order, Real) and self.order > 0):
            raise ComparisonError(
                f"the order a sampler claims is a positive number, 1 for Euler's, or None; got {self.order!r}."
            )
        given(np.zeros((1, 1)), self.library, self.dtype)  # refuses libraries and types that are not there
        self.particles = self.particles or (PARTICLES if self.library == "numpy" else PARTICLES // 2)
        self.counts = tuple(sorted(self.counts)) or default_counts(self.declaration)
        self.ran = cache(self._ran)

    @property
    def schedule(self) -> Any:
        """The schedule of the path."""
        return self.declaration.schedule

    def visited(self, steps: int) -> Array | None:
        """Times of the path the sampler says it visits, noise end first; None where it does not say."""
        if self.times is None:
            return None
        own = numbers(self.times(steps)).ravel()
        if self.visits == "path":
            return own
        if self.visits == "label":
            return np.array([self.declaration.moment(float(label))[0] for label in own])
        levels = Declaration("noise", self.schedule, "sigma")
        return np.array([levels.moment(float(level))[0] for level in own])

    def starting(self, steps: int) -> float:
        """The time whose law the sampler is started from."""
        try:
            visited = self.visited(steps)
        except Exception:
            visited = None
        return self.begin if visited is None or not len(visited) else float(np.clip(visited[0], 0.0, 1.0))

    def on_path(self, law: GaussianMixture, t: float) -> GaussianMixture:
        """The law of α_t X_0 + σ_t Z."""
        return _pushed(law, *self.declaration.level(t))

    def run(self, law: GaussianMixture, start: Array, steps: int, **settings: Any) -> Run:
        """A run from given positions: settings are ``keep``, ``dtype``, ``seed``, ``sampler``, ``declaration``, and ``changes`` of the model."""
        declaration, changes = settings.get("declaration", self.declaration), settings.get("changes", {})
        model = ExactModel(declaration, law, keep=settings.get("keep", False), **changes)
        rng = np.random.default_rng([self.seed, settings.get("seed", 0), steps])
        sampler = settings.get("sampler", self.sampler)
        try:
            with alone(self.library):
                end = sampler(model, given(start, self.library, settings.get("dtype", self.dtype)), steps, rng)
            return Run(steps, start, _shaped(numbers(end), start), model.calls)
        except Exception as error:  # whatever the code under examination raises is a finding
            return Run(steps, start, np.full_like(start, np.nan), model.calls, f"{type(error).__name__}: {error}")

    def data(self, what: str) -> GaussianMixture:
        """The data law of a kind of run."""
        if what == "plane":
            return PLANE
        return SPOT if what == "spot" else NARROW if what.startswith("narrow") else self.law

    def _ran(self, what: str, steps: int) -> Run:
        """Runs that several checks share: ``law`` and ``narrow`` from quantiles, clouds from many positions, ``spot`` with every call kept."""
        return self.run(self.data(what), self.started(what, steps), steps, keep=what == "spot")

    def started(self, what: str, steps: int) -> Array:
        """Positions a kind of run starts from."""
        t, law = self.starting(steps), self.data(what)
        if what == "spot":
            return self._spot(t, steps)
        begun = self.on_path(law, t)
        if what in ("law", "narrow"):
            return quantiles_of(begun, 256)[:, None]
        if law.dimension == 1:
            return np.resize(quantiles_of(begun, 2000), self.particles)[:, None]
        return begun.sample(self.particles // 2, np.random.default_rng([self.seed, 7]))

    def _spot(self, t: float, steps: int) -> Array:
        """Positions α POINT + σ z, z at the quantiles of the normal law: 9, or many where noise is drawn."""
        from scipy.special import ndtri

        count = 9 if not self.stochastic else max(4000, min(40_000, 4_000_000 // steps))
        alpha, sigma = self.declaration.level(t)
        return (alpha * POINT + sigma * ndtri(levels(count)))[:, None]


@lru_cache(maxsize=4096)
def _pushed(law: GaussianMixture, alpha: float, sigma: float) -> GaussianMixture:
    eye = np.eye(law.dimension)
    return law.pushed(alpha * eye, np.zeros(law.dimension), sigma**2 * eye)


@lru_cache(maxsize=1024)
def quantiles_of(law: GaussianMixture, count: int) -> Array:
    """The law's quantiles at the middles of equal intervals; not to be written into."""
    found = quantiles(law, levels(count))
    found.flags.writeable = False
    return found


def levels(count: int) -> Array:
    """The middles of equal intervals of (0, 1), shape (count,)."""
    return (np.arange(count) + 0.5) / count


def default_counts(declaration: Declaration) -> tuple[int, ...]:
    """Step counts of the sweep: powers of two, or the divisors of the schedule's length nearest to them."""
    if not isinstance(declaration.time, Index):
        return COUNTS
    length = declaration.time.count
    divisors = np.array([k for k in range(1, length + 1) if length % k == 0])
    near = {int(divisors[np.argmin(np.abs(np.log(divisors / c)))]) for c in COUNTS if c <= length}
    return tuple(sorted(near))


def between_counts(counts: Sequence[int], declaration: Declaration) -> tuple[int, ...]:
    """Step counts between those of the sweep that divide neither each other nor the schedule's length."""
    length = declaration.time.count if isinstance(declaration.time, Index) else 0
    middles = [round((a * b) ** 0.5) for a, b in itertools.pairwise(counts)]
    odd = [k + (1 if k % 2 == 0 else 0) for k in middles]
    return tuple(sorted({k + 2 if length and length % k == 0 else k for k in odd} - set(counts)))


def _shaped(end: Array, start: Array) -> Array:
    if end.shape != start.shape:
        raise ComparisonError(
            f"the sampler returned shape {end.shape} for a start of shape {start.shape}; the same is needed."
        )
    return end
