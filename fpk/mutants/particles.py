"""Wrong variants of the particles: noise, coefficients' times, steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpk.mutants.changes import Change, Function
from fpk.mutants.planting import Mutant

MOVED = "particles.euler_maruyama:_Run._moved"
COARSE_STEP = "particles.euler_maruyama:_Run._coarse_step"


def _remixed(drift: float, noise: float) -> Change:
    """One Euler–Maruyama step with factors on its drift and on its noise (open boundary)."""

    def change(original: Function) -> Function:
        def moved(self: Any, x: Any, t: float, step: float, dW: Any) -> Any:
            pushed = original(self, x, t, step, np.zeros_like(dW))
            return x + drift * (pushed - x) + noise * (original(self, x, t, step, dW) - pushed)

        return moved

    return change


def _noise_times(factor: Function) -> Change:
    """The increment dW times ``factor(self, x, t, step)``."""
    return lambda original: lambda self, x, t, step, dW: original(self, x, t, step, factor(self, x, t, step) * dW)


def _clock(shift: float) -> Change:
    """Coefficients read ``shift`` steps later."""
    return lambda original: lambda self, x, t, step, dW: original(self, x, max(t + shift * step, 0.0), step, dW)


def _last_step_skipped(original: Function) -> Function:
    def coarse_step(self: Any, states: Any, t: float, step: float, *rest: Any) -> None:
        if t + 1.5 * step < self.times[-1]:
            original(self, states, t, step, *rest)

    return coarse_step


def _same_noise_each_step(original: Function) -> Function:
    """Every step of a block draws the block's first increments again."""

    def coarse_step(self: Any, states: Any, t: float, step: float, rng: Any, *rest: Any) -> None:
        first = vars(self).setdefault("_first_noise", {})
        _, state = first.setdefault(
            id(rng), (rng, rng.bit_generator.state)
        )  # the generator is kept, so its id stays its own
        rng.bit_generator.state = state
        original(self, states, t, step, rng, *rest)

    return coarse_step


class _Redrawn:
    """A generator whose normal draws are changed before they are used."""

    def __init__(self, rng: Any, change: Function) -> None:
        self.rng, self.change = rng, change

    def standard_normal(self, shape: Any) -> Any:
        """The changed draws."""
        return self.change(self.rng.standard_normal(shape))


def _redrawn(change: Function) -> Change:
    """One coarse step with changed draws."""

    def wrapped(original: Function) -> Function:
        return lambda self, states, t, step, rng, *rest: original(self, states, t, step, _Redrawn(rng, change), *rest)

    return wrapped


def _halves_alike(drawn: Any) -> Any:
    """The second half of the particles gets the noise of the first."""
    half = len(drawn) // 2
    return np.concatenate([drawn[:half], drawn[:half], drawn[2 * half :]])


def _neighbourly(drawn: Any) -> Any:
    """Every particle's noise takes 5 % of its neighbour's; its variance stays 1."""
    return np.sqrt(1 - 0.05**2) * drawn + 0.05 * np.roll(drawn, 1, axis=0)


FALLS = "it falls with the step like an honest error, and the budget covers it: coupled or discrete laws see it"
MARGINAL = "every marginal stays right; only a correlation over the particle index sees it"

PARTICLES = (
    Mutant("particles: ½ missing on g²", MOVED, _remixed(1.0, 2**0.5), "particles"),
    Mutant("particles: √ missing on Δt", MOVED, _noise_times(lambda self, x, t, step: step**0.5), "particles"),
    Mutant("particles: g² for g", MOVED, _noise_times(lambda self, x, t, step: self.problem.diffusion(x, t)), "particles"),
    Mutant("particles: D for g", MOVED, _noise_times(lambda self, x, t, step: self.problem.diffusion(x, t) / 2), "particles"),
    Mutant("particles: drift sign", MOVED, _remixed(-1.0, 1.0), "particles"),
    Mutant("particles: ½ extra in the drift", MOVED, _remixed(0.5, 1.0), "particles"),
    Mutant("particles: g + 2 %", MOVED, _remixed(1.0, 1.02), "particles", near=True),
    Mutant("particles: drift + 5 %", MOVED, _remixed(1.05, 1.0), "particles", near=True),
    Mutant("particles: right end for left end", MOVED, _clock(1.0), "particles", excuse=FALLS),
    Mutant("particles: one step late", MOVED, _clock(-1.0), "particles", excuse=FALLS),
    Mutant("particles: last step skipped", COARSE_STEP, _last_step_skipped, "particles", pure=False),
    Mutant("particles: same noise each step", COARSE_STEP, _same_noise_each_step, "particles", pure=False),
    Mutant("particles: noise shared by two", COARSE_STEP, _redrawn(_halves_alike), "particles", excuse=MARGINAL, pure=False),
    Mutant("particles: noise shared + 5 %", COARSE_STEP, _redrawn(_neighbourly), "particles", near=True, excuse=MARGINAL, pure=False),
)  # fmt: skip
