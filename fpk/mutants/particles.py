"""Wrong variants of the particles: noise, coefficients' times, steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fpk.mutants.changes import Change, Function, instead, then
from fpk.mutants.planting import Mutant
from fpk.particles.schemes import EulerMaruyama
from fpk.tracing import greater, maximum

ADVANCED = "particles.motion:Motion.advanced"
KEPT = "particles.clock:Clock.kept"
ORDER = "particles.clock:noise_order"
NUMBERS = "particles.clock:particle_numbers"


def _remixed(drift: float, noise: float) -> Change:
    """One Euler–Maruyama step with factors on its drift and on its noise (open boundary)."""

    def change(original: Function) -> Function:
        def advanced(self: Any, step: Any, x: Any, dW: Any, extra: Any) -> Any:
            pushed = original(self, step, x, np.zeros_like(dW), extra)
            return x + drift * (pushed - x) + noise * (original(self, step, x, dW, extra) - pushed)

        return advanced

    return change


def _noise_times(factor: Function) -> Change:
    """The increment dW times ``factor(step, x)``."""
    return lambda original: lambda self, step, x, dW, extra: original(self, step, x, factor(step, x) * dW, extra)


def _clock(shift: float) -> Change:
    """Coefficients read ``shift`` steps later."""

    def late(step: Any) -> Any:
        return replace(step, time=np.maximum(step.time + shift * step.length, 0.0))

    return lambda original: lambda self, step, *rest: original(self, late(step), *rest)


def _last_step_skipped(original: Function) -> Function:
    """The last of the coarsest steps is not taken: what is kept at the end was there before it."""

    def kept(self: Any) -> Any:
        slots = original(self).copy()
        end = int(np.flatnonzero(slots >= 0)[-1])
        slots[max(end - (1 << (self.levels - 1)), 0)], slots[end] = slots[end], -1
        return slots

    return kept


def _halves_alike(numbers: Any) -> Any:
    """The second half of the particles gets the noise of the first."""
    half = len(numbers) // 2
    return np.concatenate([numbers[:half], numbers[:half], numbers[2 * half :]])


def _one_in_twenty(numbers: Any) -> Any:
    """Every twentieth particle gets the noise of its neighbour."""
    shared = numbers.copy()
    shared[19::20] = numbers[18::20][: len(shared[19::20])]
    return shared


def _doubled_correction(original: Function) -> Function:
    """What a step adds to Euler–Maruyama, twice (open boundary)."""

    def advanced(self: Any, step: Any, x: Any, dW: Any, extra: Any) -> Any:
        return 2 * original(self, step, x, dW, extra) - EulerMaruyama().advanced(step, x, dW, extra)

    return advanced


def _ends_only(original: Function) -> Function:
    """Walls are met only where a step ends beyond them."""

    def met(walls: Any, x: Any, y: Any, variance: Any, extra: Any) -> Any:
        beyond = maximum(greater(walls.lower, y), greater(y, walls.upper))
        return greater(beyond, 0.5), *original(walls, x, y, variance, extra)[1:]

    return met


def _scaled(noise: float = 1.0, extra: float = 1.0) -> Change:
    """A scheme's step with factors on the increment and on its further numbers."""
    return lambda original: lambda self, step, x, dW, more: original(self, step, x, noise * dW, extra * more)


def _larger_parameters(original: Function) -> Function:
    """What compiled steps know of the time is larger by a millionth."""
    return lambda self, column: original(self, column * (1 + 1e-6))


def _shortened(original: Function) -> Function:
    """One per cent of a step is missing."""
    return lambda self, step, x, *rest: x + 0.99 * (original(self, step, x, *rest) - x)


FALLS = "it falls with the step like an honest error, and the budget covers it: coupled or discrete laws see it"
MARGINAL = "every marginal stays right; only a correlation over the particle index sees it"

PARTICLES = (
    Mutant("particles: ½ missing on g²", ADVANCED, _remixed(1.0, 2**0.5), "particles"),
    Mutant("particles: √ missing on Δt", ADVANCED, _noise_times(lambda step, x: step.root), "particles"),
    Mutant("particles: g² for g", ADVANCED, _noise_times(lambda step, x: step.diffusion(x)), "particles"),
    Mutant("particles: D for g", ADVANCED, _noise_times(lambda step, x: step.diffusion(x) / 2), "particles"),
    Mutant("particles: drift sign", ADVANCED, _remixed(-1.0, 1.0), "particles"),
    Mutant("particles: ½ extra in the drift", ADVANCED, _remixed(0.5, 1.0), "particles"),
    Mutant("particles: g + 2 %", ADVANCED, _remixed(1.0, 1.02), "particles", near=True),
    Mutant("particles: drift + 5 %", ADVANCED, _remixed(1.05, 1.0), "particles", near=True),
    Mutant("particles: right end for left end", ADVANCED, _clock(1.0), "particles", excuse=FALLS),
    Mutant("particles: one step late", ADVANCED, _clock(-1.0), "particles", excuse=FALLS),
    Mutant("particles: last step skipped", KEPT, _last_step_skipped, "particles"),
    Mutant("particles: same noise each step", ORDER, then(np.zeros_like), "particles"),
    Mutant("particles: noise shared by two", NUMBERS, then(_halves_alike), "particles", excuse=MARGINAL),
    Mutant("particles: noise of one in twenty shared", NUMBERS, then(_one_in_twenty), "particles", near=True, excuse=MARGINAL),
    Mutant("compiled: numbers of the time + 1e-6", "tracing:Trace.parameter", _larger_parameters, "particles", near=True, pure=False),
    Mutant("Milstein: twice the correction", "particles.schemes:Milstein.advanced", _doubled_correction, "particles"),
    Mutant("Heun: Itô drift not converted", "particles.schemes:_stratonovich_drift", instead(
        lambda step, x, stage: step.drift(x, stage)), "particles"),
    Mutant("Platen: areas left out", "particles.schemes:_two_point", instead(lambda extra, h, m: [[-h] * m] * m), "particles"),
    Mutant("Runge–Kutta: 1 % of a step missing", "particles.schemes:RungeKutta4.advanced", _shortened, "particles", near=True),
    Mutant("exact transition: noise + 2 %", "particles.exact_transition:ExactTransition.advanced", _scaled(1.02, 1.02), "particles", near=True),
    Mutant("MALA: every proposal accepted", "particles.langevin:MALA.advanced", _scaled(extra=1e9), "particles"),
    Mutant("absorption: crossings inside steps missed", "particles.walls:_met", _ends_only, "particles"),
)  # fmt: skip
