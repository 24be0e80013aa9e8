"""Wrong variants of the particles: noise, coefficients' times, steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fpk.mutants.changes import Change, Function, then
from fpk.mutants.planting import Mutant

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
)  # fmt: skip
