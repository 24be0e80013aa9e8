"""What is on the card of each class: its numbers in a few words, and a drawing where there is a density or a schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fpk.cards import Card, Curve
from fpk.counts import counting
from fpk.errors import FpkError
from fpk.laws import Array, Law

#: Class name ↦ what is on its card; a subclass has that of its next base.
CARDS: dict[str, Callable[[Any], Card]] = {}
#: Most curves in one drawing.
CURVES = 4


def html_of(thing: Any) -> str:
    """The card of an object as HTML; its text where there is nothing else to show.

    Examples
    --------
    >>> from fpk import Grid, VPSchedule
    >>> "VPSchedule(beta_min=0.1, beta_max=20.0)" in html_of(VPSchedule(0.1, 20.0))
    True
    """
    try:
        return card_of(thing).html()
    except FpkError:  # a density that is not resolved is no reason to show nothing
        return Card(repr(thing)).html()


def card_of(thing: Any) -> Card:
    """The card of an object."""
    return next((CARDS[c.__name__] for c in type(thing).__mro__ if c.__name__ in CARDS), _text)(thing)


def _of(*names: str) -> Callable[[Callable[[Any], Card]], Callable[[Any], Card]]:
    def registered(made: Callable[[Any], Card]) -> Callable[[Any], Card]:
        CARDS.update(dict.fromkeys(names, made))
        return made

    return registered


def _text(thing: Any) -> Card:
    return Card(type(thing).__name__, [("", str(thing))])


@_of("Problem")
def _problem(problem: Any) -> Card:
    walls = problem.boundary
    where = "" if walls.kind == "open" else f" on [{walls.lower:g}, {walls.upper:g}]"
    rows = [
        ("equation", f"dX = f dt + g dW in dimension {problem.dimension}, 0 ≤ t ≤ {problem.horizon:g}"),
        ("drift f", problem.drift.wording),
        ("diffusion g", problem.diffusion.wording),
        ("initial law", repr(problem.initial)),
        ("boundary", walls.kind + where),
        ("schedule", problem.schedule and repr(problem.schedule)),
    ]
    return Card(f"Problem {problem.name}".strip(), rows, curves=_densities(problem.initial))


@_of("GaussianMixture", "TabulatedLaw", "ScipyLaw")
def _law(law: Law) -> Card:
    return Card(repr(law), curves=_densities(law))


@_of("_LinearRate", "VESchedule", "OTSchedule", "AffineSchedule", "VPChain")
def _schedule(schedule: Any) -> Card:
    t = np.linspace(0.0, getattr(schedule, "steps", 1.0), 101)
    pair = (("α", schedule.alpha), ("σ", schedule.sigma))
    return Card(repr(schedule), curves=[Curve(name, t, [of(s) for s in t.tolist()]) for name, of in pair], axis="t")


@_of("StoredDensities")
def _on_grid(solution: Any) -> Card:
    problem = getattr(solution.plan, "problem", None)
    rows = [
        ("computed by", solution.source),
        ("problem", problem and (problem.name or problem.drift.wording)),
        ("grid", str(solution.grid)),
        ("times", solution.times),
        ("formal order", float(solution.order)),
        ("∫ p_t at the last", float(solution.mass[-1])),
        ("smallest density", solution.minimum),
    ]
    return Card("Grid solution", rows, curves=_stored(solution))


def _stored(solution: Any) -> list[Curve]:
    """The densities at some times; in more dimensions those of the coordinates, at the last time."""
    grid, axes = solution.grid, getattr(solution.grid, "axes", None)
    if axes is None:
        times = sorted({round(k) for k in np.linspace(0, len(solution.times) - 1, CURVES)})
        return [Curve(_at(solution.times[k]), grid.centers, solution.densities[k]) for k in times]
    masses, every = solution.densities[-1] * grid.volume, set(range(len(axes)))
    return [Curve(f"of x{i}", a.centers, masses.sum(tuple(every - {i})) / a.spacing) for i, a in enumerate(axes)]


@_of("ParticleMarginals")
def _particles(run: Any) -> Card:
    time = run.times[-1]
    last = run.samples(time)[run.alive(time)]
    rows = [
        ("computed by", run.source),
        (
            "particles",
            f"{run.particles:,} in dimension {run.dimension}, {counting(len(run.positions), 'level')} of steps",
        ),
        ("times", run.times),
        ("absorbed at the last", None if run.absorbed is None else f"{run.particles - len(last):,}"),
        ("mean at the last", last.mean(0).tolist() if len(last) else None),
        ("standard deviation", last.std(0).tolist() if len(last) else None),
    ]
    counted = [np.histogram(x, bins=60, density=True) for x in last.T[:CURVES] if len(x)]
    names = ["density"] if run.dimension == 1 else [f"of x{i}" for i in range(len(counted))]
    bars = [Curve(name, (edges[1:] + edges[:-1]) / 2, p) for name, (p, edges) in zip(names, counted, strict=False)]
    return Card("Particles", rows, curves=bars)


@_of("LawMarginals")
def _exact(exact: Any) -> Card:
    laws = [(t, exact.law(t)) for t in exact.times[-CURVES:]]
    curves = [replace(c, name=_at(t)) for t, law in laws if law.dimension == 1 for c in _densities(law)]
    rows = [("computed by", exact.source), ("times", exact.times), ("law at the last", repr(laws[-1][1]))]
    return Card("Exact laws", rows, curves=curves)


@_of("RefinedMarginals")
def _refined(refined: Any) -> Card:
    finest = card_of(refined.finest)
    return replace(finest, title=f"{len(refined.levels)} levels; the finest: {finest.title}")


@_of("Verdict")
def _verdict(verdict: Any) -> Card:
    numbers = verdict.difference, verdict.budget, verdict.standard_error
    lines = list(zip(verdict.names, *map(np.ndarray.tolist, numbers), strict=True))
    size = np.abs(verdict.difference) + np.where(np.isfinite(verdict.budget), verdict.budget, 0)
    worst = [verdict.worst, *(k for k in np.argsort(-size) if k != verdict.worst)]
    rows = [
        ("read as", verdict.method),
        ("reason", verdict.reason),
        ("to settle it", verdict.remedy),
        ("tolerance", verdict.tolerance),
        ("smallest effect sure to be seen", float(verdict.mde)),
    ]
    header = ("functional", "difference", "budget", "standard error")
    return Card(f"{verdict.outcome}: {verdict.pair[0]} | {verdict.pair[1]}", rows, header, [lines[k] for k in worst])


@_of("Examination")
def _examination(found: Any) -> Card:
    title, _, _ = str(found).partition("\n")
    suspects = [(f"suspect {k}", str(suspect)) for k, suspect in enumerate(found.suspects[:3], 1)]
    lines = [(str(f.verdict.outcome), f.check, f.line) for f in found.findings]
    return Card(title, suspects, ("verdict", "check", "found"), lines)


def _at(t: float) -> str:
    return f"t = {t:.3g}"


def _densities(law: Law) -> list[Curve]:
    """The density of a law on the line, or those of the coordinates."""
    if law.dimension == 1:
        return [Curve("density", *_seen(law))]
    axes = np.eye(law.dimension)[:CURVES]
    return [Curve(f"of x{i}", *_seen(law.projected(axis))) for i, axis in enumerate(axes)]


def _seen(law: Law) -> tuple[Array, Array]:
    """Points where the density is more than a thousandth of the largest, and the density there."""
    points = law.breakpoints()
    x = np.unique(np.concatenate([points, np.linspace(points[0], points[-1], 1600)]))
    p = np.exp(law.log_density(x[:, None]))
    seen = np.flatnonzero(p > 1e-3 * p[np.isfinite(p)].max(initial=0.0))
    return x[seen[0] : seen[-1] + 1], p[seen[0] : seen[-1] + 1]
