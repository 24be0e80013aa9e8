"""Wrong variants of the grid's schemes: fluxes, walls, steps, characteristics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fpk.mutants.changes import Change, Function, parts, then, times
from fpk.mutants.planting import Mutant

STEPPER = "fokker_planck.stepping:Steps.run"


ASSEMBLED = "fokker_planck.fluxes:_assembled"


def _leaking(original: Function) -> Function:
    """Reflecting walls absorb."""

    def assembled(f: Any, D: Any, climb: Any, stretch: Any, spacing: float, kind: str) -> Any:
        return original(f, D, climb, stretch, spacing, "absorbing" if kind == "no_flux" else kind)

    return assembled


def _flux(factor: float) -> Change:
    """Every flux, and so the rate matrix, times a factor."""
    return then(lambda rates: rates._replace(rows=factor * rates.rows))


def _shortened(share: float) -> Change:
    """Every time t is reached at (1 − share/steps) t: with 1 the last step is skipped, under the same label."""

    def change(original: Function) -> Function:
        def run(self: Any, p: Any, times: tuple[float, ...], steps: int) -> Iterator[tuple[float, Any]]:
            reached = original(self, p, tuple((1 - share / steps) * t for t in times), steps)
            for label, (_, state) in zip(times, reached, strict=True):
                yield label, state

        return run

    return change


def _stretched(factor: float) -> Change:
    """Every time t is reached at factor · t."""

    def change(original: Function) -> Function:
        def run(self: Any, p: Any, times: tuple[float, ...], steps: int) -> Iterator[tuple[float, Any]]:
            for label, (_, state) in zip(
                times, original(self, p, tuple(factor * t for t in times), steps), strict=True
            ):
                yield label, state

        return run

    return change


def _shifted_flow(original: Function) -> Function:
    """Characteristics read the velocity at the right end of the step."""
    return lambda problem, x, t, h, **options: original(problem, x, max(t + h, 0.0), h, **options)


def _too_far(original: Function) -> Function:
    """Every step 1 % too far."""

    def step(problem: Any, x: Any, t: float, h: float, **options: Any) -> tuple[Any, Any]:
        moved, gained = original(problem, x, t, h, **options)
        return x + 1.01 * (moved - x), gained

    return step


#: Slips of one step fall with the step, and so does the budget that covers them.
FALLS = "it falls with the step like an honest error, and the budget covers it: a matter for claims about orders"

NUMERICS = (
    Mutant("flux sign", ASSEMBLED, _flux(-1.0), "scheme"),
    Mutant("flux + 1 %", ASSEMBLED, _flux(1.01), "scheme", near=True),
    Mutant("leaking boundary", ASSEMBLED, _leaking, "scheme"),
    Mutant("stage times one step late", "fokker_planck.stepping:DiagonallyImplicit.nodes", then(lambda c: c + 1), "scheme", excuse=FALLS),
    Mutant("stage times at the left end", "fokker_planck.stepping:DiagonallyImplicit.nodes", times(0.0), "scheme", excuse=FALLS),
    Mutant("last step skipped", STEPPER, _shortened(1.0), "scheme", excuse=FALLS),
    Mutant("time + 1 %", STEPPER, _stretched(1.01), "scheme", near=True),
    Mutant("characteristics: divergence sign", "fokker_planck.characteristics:_step", parts(1.0, -1.0), "scheme"),
    Mutant("characteristics: divergence + 2 %", "fokker_planck.characteristics:_step", parts(1.0, 1.02), "scheme", near=True),
    Mutant("characteristics: steps + 1 %", "fokker_planck.characteristics:_step", _too_far, "scheme", near=True),
    Mutant("characteristics: one step late", "fokker_planck.characteristics:_step", _shifted_flow, "scheme", excuse=FALLS),
    Mutant("exponential fitting: sign", "fokker_planck.fluxes:bernoulli", lambda original: lambda z: original(-z), "scheme"),
)  # fmt: skip
