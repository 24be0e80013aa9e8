r"""Fields of other people, examined on a law whose field is known: is a model what it is declared to be, and if not, what is it?

A model of declared kind, schedule, time, direction and scale is read as a field (:func:`fpk.fields.as_field`) and held against the exact field of a
Gaussian mixture, at positions of the noised law. Where it differs, other declarations are tried one at a time. Each reads the same
outputs, so that the right one leaves nothing:

    distance = √(Σ |f_declared otherwise − f_exact|² / Σ |f_exact|²),   over all positions and times,

for another kind or sign, the other direction, another scale, labels shifted by one, other clocks, and outputs that carry a factor (σ, 1/σ, σ²,
½g², ..., or any number).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.battery.findings import Finding, Suspect
from fpk.comparison import settle
from fpk.errors import ComparisonError, FpkError
from fpk.fields import KINDS, Field, Index, as_field, exact_field
from fpk.fields.calling import Call, caller
from fpk.fields.inputs import SCALES, clock
from fpk.laws import Array, GaussianMixture, Law
from fpk.marginals import ROUND_OFF, Estimate, zero_estimate
from fpk.schedules import Schedule
from fpk.verdict import Verdict

#: Times of the path at which a field is looked at, by default.
TIMES = (0.1, 0.25, 0.4, 0.6, 0.8, 0.95)
#: A law that hides little: off-centre (mean 3.3), of variance .74, with a narrow component.
OFF_CENTRE = GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.2, 0.5])
#: What outputs of a kind look like.
LOOKS = {
    "noise": "−σ·score, the noise",
    "denoised": "the denoised mean E[X₀ | x]",
    "score": "the score",
    "v": "v = α·noise − σ·denoised",
    "velocity": "the velocity of the probability flow",
}
#: An explanation is worth naming if it leaves less than this share of the difference.
EXPLAINS = 0.5
#: What the outputs of somebody's model may raise under a wrong declaration.
RAISED = (FpkError, ArithmeticError, LookupError, ValueError, TypeError, RuntimeError)
#: A factor that outputs carry, as a function of the time of the path.
Factor = Callable[[float], float]


def one(t: float) -> float:
    """No factor."""
    return 1.0


def minus_one(t: float) -> float:
    """The other sign."""
    return -1.0


def named(
    left: Mapping[str, float], advice: Callable[[str], str] = lambda name: "", *, among: float = np.inf
) -> list[Suspect]:
    """Suspects by what each leaves unexplained, best first; ``among``: only those that leave less than this."""
    kept = sorted((distance, name) for name, distance in left.items() if distance < among)
    return [Suspect(name, distance, advice(name)) for distance, name in kept]


@dataclass(frozen=True)
class FieldExamination:
    """What was found about a field.

    Parameters
    ----------
    verdict : Verdict
        On the relative distance to the exact field at each time.
    suspects : tuple of Suspect
        Best explanation first; empty where the verdict is not REFUTED, or nothing explains it.
    check : str
        What was examined.
    """

    verdict: Verdict
    suspects: tuple[Suspect, ...]
    check: str = "field"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The one finding, in the form that other examinations have."""
        worst = self.verdict.worst
        line = f"off by {abs(self.verdict.difference[worst]):.2g}: {self.verdict.names[worst]}"
        return (Finding(self.check, self.verdict, line),)

    def __str__(self) -> str:
        return "\n".join([str(self.verdict), *(f"  {k}. {s}" for k, s in enumerate(self.suspects[:3], 1))])


@dataclass(frozen=True)
class Declared:
    """How a model is read: the arguments of :func:`fpk.fields.as_field`, and a factor that is taken out of its outputs."""

    kind: str
    time: Any = "path"
    direction: str = "t_noise"
    scale: Any = "path"
    time_as: str | None = None

    def field(self, call: Call, schedule: Schedule) -> Field:
        """What was called as the declared kind."""
        return as_field(
            call, kind=self.kind, schedule=schedule, time=self.time, direction=self.direction, scale=self.scale
        )

    def but(self, **changes: Any) -> Declared:
        """Declared otherwise."""
        return Declared(**(vars(self) | changes))

    @property
    def told_as(self) -> str:
        """The kind in which the field is compared."""
        return "v" if self.kind == "edm" else self.kind


def examine_field(
    model: Any,
    law: GaussianMixture = OFF_CENTRE,
    schedule: Schedule | None = None,
    *,
    kind: str,
    time: Any = "path",
    direction: str = "t_noise",
    scale: Any = "path",
    time_as: str | None = None,
    times: Sequence[float] = TIMES,
    points: int = 64,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> FieldExamination:
    """Hold a model against the exact field of the law it should know, and name what it looks like instead.

    Parameters
    ----------
    model
        As for :func:`fpk.fields.as_field`.
    law : GaussianMixture
        The data law it should have learned.
    schedule : Schedule, optional
        Default: ``VPSchedule(0.1, 20)``.
    kind, time, direction, scale, time_as
        What is declared about the model.
    times : sequence of float
        Times of the path, data at 0; whole indices are rounded to.
    points : int
        Positions at each of them, drawn from the noised law.
    tolerance : float
        Relative distance that counts as equal; for trained models as large as their error.
    seed : int
        Of the positions.

    Returns
    -------
    FieldExamination

    Examples
    --------
    >>> import fpk
    >>> from fpk.fields import exact_field
    >>> path = fpk.VPSchedule(0.1, 20.0)
    >>> trained = exact_field(OFF_CENTRE, path, kind="noise")
    >>> found = examine_field(trained, schedule=path, kind="score")
    >>> print(found.verdict.outcome, found.suspects[0].because)
    REFUTED outputs look like −σ·score, the noise: did you mean kind='noise'?
    """
    from fpk.schedules import VPSchedule

    path = VPSchedule(0.1, 20.0) if schedule is None else schedule
    declared = Declared(kind, time, direction, scale, time_as)
    seen = _Seen(model, law, path, _visited(times, time), points, seed)
    gaps = seen.gaps(declared)
    names = tuple(f"relative distance at t={t:.4g}" for t in seen.times)
    found = Estimate(gaps, np.full(len(gaps), ROUND_OFF * 1e3), source=f"the {kind} model")
    verdict = settle(found, zero_estimate(len(gaps)), names=names, tolerance=tolerance, kind="identity")
    return FieldExamination(verdict, tuple(seen.suspects(declared)) if np.any(gaps > tolerance) else ())


def _visited(times: Sequence[float], time: Any) -> list[float]:
    """The times, on the levels of a discrete model."""
    if not isinstance(time, Index):
        return [float(t) for t in times]
    spacing = (1 - time.start) / (time.count - 1)
    return [time.start + spacing * max(1, round((t - time.start) / spacing)) for t in times]


class _Seen:
    """A model at positions of a law's noised marginals."""

    def __init__(
        self, model: Any, law: GaussianMixture, schedule: Schedule, times: list[float], points: int, seed: int
    ) -> None:
        self.model, self.law, self.schedule, self.times = model, law, schedule, times
        rng, eye = np.random.default_rng(seed), np.eye(law.dimension)
        self.x = [
            law.pushed(schedule.alpha(t) * eye, np.zeros(len(eye)), schedule.sigma(t) ** 2 * eye).sample(points, rng)
            for t in times
        ]
        self._exact: dict[str, list[Array]] = {}

    def exact(self, kind: str) -> list[Array]:
        """Values of the exact field, one array a time."""
        if kind not in self._exact:
            field = exact_field(self.law, self.schedule, kind=kind)
            self._exact[kind] = [field(x, t) for x, t in zip(self.x, self.times, strict=True)]
        return self._exact[kind]

    def values(self, declared: Declared, factor: Factor = one) -> list[Array]:
        """Values of the model as it is declared, once a factor is taken out of its outputs."""
        raw = caller(self.model, declared.time_as)

        def divided(number: float) -> Call:
            return lambda y, label=None: np.asarray(raw(y, label)) / number

        fields = [declared.field(divided(factor(t)), self.schedule) for t in self.times]
        return [field(x, t) for field, x, t in zip(fields, self.x, self.times, strict=True)]

    def gaps(self, declared: Declared, factor: Factor = one) -> Array:
        """Relative distances, one a time."""
        values, exact = self.values(declared, factor), self.exact(declared.told_as)
        return np.array([_rms(a - b) / _rms(b) for a, b in zip(values, exact, strict=True)])

    def left(self, declared: Declared, factor: Factor = one) -> float:
        """Root mean square of the relative distances; infinite where the model cannot be read this way."""
        try:
            with np.errstate(all="ignore"):
                return float(_rms(self.gaps(declared, factor)))
        except RAISED:
            return np.inf

    def suspects(self, declared: Declared) -> list[Suspect]:
        """Explanations that leave less than half of the difference, best first."""
        own, found = self.left(declared), []
        for mistake, advice, other, factor in self._explanations(declared):
            found.append(Suspect(mistake, self.left(other, factor), advice))
        worth = [s for s in found if s.distance < EXPLAINS * own]
        return sorted(worth, key=lambda s: s.distance + (0.02 if s.mistake == "factor" else 0.0))

    def _explanations(self, declared: Declared) -> Iterator[tuple[str, str, Declared, Factor]]:
        for kind in KINDS:
            for sign, factor in ((1.0, one), (-1.0, minus_one)):
                if (kind, sign) != (declared.kind, 1.0):
                    yield *_told(kind, sign, declared), declared.but(kind=kind), factor
        yield from _declarations(declared, self.schedule)
        for name, factor in _factors(self.schedule).items():
            yield f"factor {name}", f"outputs carry a factor {name}: divide by it", declared, factor
        number = self._number(declared)
        yield "factor", f"outputs are {number:.4g} times what they should be", declared, lambda t: number

    def _number(self, declared: Declared) -> float:
        """The constant factor that fits best, 1 where none does."""
        try:
            values, exact = np.concatenate(self.values(declared)), np.concatenate(self.exact(declared.told_as))
        except RAISED:
            return 1.0
        fit = float(np.sum(values * exact) / max(float(np.sum(exact**2)), 1e-300))
        return fit or 1.0


def _rms(values: Array) -> Any:
    return np.sqrt(np.mean(np.asarray(values) ** 2))


def _declarations(declared: Declared, schedule: Schedule) -> Iterator[tuple[str, str, Declared, Factor]]:
    """Other directions, scales and clocks."""
    other = "t_data" if declared.direction == "t_noise" else "t_noise"
    turned, hint = declared.but(direction=other), f"the time runs the other way: did you mean direction={other!r}?"
    yield "direction of time", hint, turned, one
    yield "direction of time, sign", f"{hint[:-1]}, and the negative of the outputs?", turned, minus_one
    for scale in SCALES:
        if scale != declared.scale:
            hint = f"positions of another scale: did you mean scale={scale!r}?"
            yield f"scale {scale}", hint, declared.but(scale=scale), one
    for name, time in _clocks(declared, schedule).items():
        yield name, f"{name}: look at the time that the model is given", declared.but(time=time), one


def _told(kind: str, sign: float, declared: Declared) -> tuple[str, str]:
    """Name and advice for outputs of another kind or sign."""
    if kind == declared.kind:
        return "sign", "outputs have the other sign"
    if sign > 0:
        return f"kind {kind}", f"outputs look like {LOOKS[kind]}: did you mean kind={kind!r}?"
    return f"kind {kind}, sign", f"outputs look like the negative of {LOOKS[kind]}: kind={kind!r} with the other sign?"


def _factors(schedule: Schedule) -> dict[str, Factor]:
    sigma, alpha, g = schedule.sigma, schedule.alpha, schedule.diffusion
    return {
        "σ": sigma,
        "1/σ": lambda t: 1 / sigma(t),
        "σ²": lambda t: sigma(t) ** 2,
        "1/σ²": lambda t: sigma(t) ** -2,
        "α": alpha,
        "1/α": lambda t: 1 / alpha(t),
        "g²": lambda t: g(t) ** 2,
        "½g²": lambda t: 0.5 * g(t) ** 2,
        "g": g,
        "½": lambda t: 0.5,
        "2": lambda t: 2.0,
    }


def _clocks(declared: Declared, schedule: Schedule) -> dict[str, Any]:
    """Other clocks than the declared one, by the mistake that was made."""
    if declared.time is None:
        return {}
    own = clock(declared.time, schedule, "t_noise") if declared.time != "sigma" else None
    if isinstance(declared.time, Index) and own is not None:
        return {
            "time labels one too low": lambda u: own(u) + 1,
            "time labels one too high": lambda u: own(u) - 1,
            "time divided by the number of levels": lambda u: u,
        }
    others: dict[str, Any] = {
        "time in [0, 1] for a noise level": "path",
        "noise level for a time in [0, 1]": "sigma",
        "logarithm of the noise level for it": lambda u: float(np.log(schedule.sigma(u) / schedule.alpha(u))),
        "time to be multiplied by 1000": lambda u: 1000 * u,
        "time to be divided by 1000": lambda u: u / 1000,
    }
    return {name: time for name, time in others.items() if time != declared.time}


def examine_static_score(
    score: Callable[[Array], Array], law: Law, *, points: int = 256, tolerance: float = 1e-3, seed: int = 0
) -> FieldExamination:
    """Hold a function x ↦ score against ∇ log p of a law, and name what it looks like instead.

    Parameters
    ----------
    score : callable
        Positions (n, d) ↦ values (n, d).
    law : Law
    points, tolerance, seed
        As for :func:`examine_field`.

    Examples
    --------
    >>> import fpk
    >>> print(examine_static_score(lambda x: x - 3.0, fpk.Gaussian(3.0, 0.5)).suspects[0].mistake)
    factor
    """
    x = law.sample(points, np.random.default_rng(seed))
    found, exact = np.asarray(score(x), float), law.score(x)
    if found.shape != x.shape:
        raise ComparisonError(f"a score has the shape of its positions, {x.shape}; got {found.shape}.")
    density, scale = np.exp(law.log_density(x))[:, None], _rms(exact)
    gap = np.array([_rms(found - exact) / scale])
    verdict = settle(
        Estimate(gap, np.full(1, ROUND_OFF * 1e3), source="the score"),
        zero_estimate(1),
        names=("relative distance",),
        tolerance=tolerance,
        kind="identity",
    )
    number = float(np.sum(found * exact) / np.sum(exact**2))
    others = {
        "sign": -exact,
        "½": 0.5 * exact,
        "2": 2 * exact,
        "gradient of the density, not of its logarithm": density * exact,
        "sign, and gradient of the density": -density * exact,
        "sum over the coordinates": np.broadcast_to(exact.sum(1, keepdims=True), x.shape),
        "factor": number * exact,
    }
    left = {name: _rms(found - other) / scale for name, other in others.items() if np.any(other != exact)}
    left["factor"] = left.get("factor", np.inf) + 0.01  # a name that says more comes first
    advice = {"factor": f"looks like the score times {number:.4g}"}
    suspects = named(left, lambda name: advice.get(name, ""), among=EXPLAINS * float(gap[0]))
    return FieldExamination(verdict, tuple(suspects) if gap[0] > tolerance else (), "score")
