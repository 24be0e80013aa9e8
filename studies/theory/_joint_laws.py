r"""Joint laws at two times of a process and of members of its reverse family, on grids.

E ψ(Y_{T−t}) φ(Y_{T−s})  for the reversed process,  E φ(X_s) ψ(X_t)  for the process, on one panel of products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.fokker_planck.solutions import GridMarginals
from fpk.laws import Array
from fpk.panels import Panel
from fpk.paths import two_time_panel
from fpk.study import Evidence, Size

from .._systems import Score, scaled, walled
from ._reversing import CELLS, EXACT, FENCE, NOISED, WAVY, ahead, between

#: Stationary at the law it starts from, and turning.
SPINNING = fpk.Problem(
    fpk.Linear(np.array([[-1.0, -2.0], [2.0, -1.0]])),
    1.0,
    initial=fpk.Gaussian([0.0, 0.0], 0.5**0.5),
    horizon=0.5,
    name="rotation",
)
Laws = Mapping[float, Any]
#: A panel, and an estimate of its functionals.
Known = tuple[Panel, fpk.Estimate]


class Member(NamedTuple):
    """A member of the reverse family: its noise in units of g, and a factor on the score; or the forward process again."""

    noise: float = 1.0
    score: float = 1.0
    again: bool = False


def _member(problem: fpk.Problem, score: Score, initial: Any, member: Member) -> fpk.Problem:
    """The reversed problem."""
    return problem if member.again else _back(problem, scaled(score, member.score), initial, member.noise)


def _back(problem: fpk.Problem, score: Score, initial: Any, multiple: float) -> fpk.Problem:
    """The problem reversed with a multiple of its noise."""
    g, anywhere = problem.diffusion, np.zeros((1, problem.dimension))
    noise: Any = lambda t: multiple * g(anywhere, t)  # noqa: E731
    if g.state_dependent:
        noise = lambda x, t: multiple * g(x, t)  # noqa: E731
    return fpk.reverse_time(problem, score, initial=initial, noise=noise if multiple else 0.0)


def _in_reverse_order(values: Array, times: int, d: int) -> Array:
    """Values of the forward panel in the order of the reversed one: pairs of times, and all within them, the other way round."""
    split = values.reshape(times - 1, d, d, 2, 2)
    return split[::-1].transpose(0, 2, 1, 4, 3).ravel()


def _joint(solved: Any, known: Known) -> Evidence:
    """The reversed process against the forward one, at pairs of times."""
    panel, truth = known
    return Evidence(solved.expect(panel), truth, panel.names, panel=panel.digest)


def _known(forward: Any, laws: Laws, horizon: float, d: int) -> Known:
    """Panel of the reversed process, and what the forward process says of it."""
    asked, panel = two_time_panel(laws), two_time_panel({horizon - t: law for t, law in laws.items()})
    truth = forward.expect(asked)
    turned = {
        name: _in_reverse_order(getattr(truth, name), len(laws), d) for name in ("value", "bias_bound", "coarser")
    }
    return panel, replace(truth, **turned)


class Followed(NamedTuple):
    """Joint laws of a flow, from the points it carries."""

    solved: Any

    def expect(self, panel: Panel) -> fpk.Estimate:
        """Sums over the points."""
        at = dict(zip(self.solved.times, self.solved.positions[:, :, None], strict=True))
        values = [block.values(at[block.times[0]], at[block.times[1]]) @ self.solved.weights for block in panel.smooth]
        return fpk.Estimate(
            np.concatenate(values), np.full(len(panel.names), 1e-5), source="points carried by the flow"
        )


HALVES, QUARTERS = [0.0, 0.5, 1.0], [0.0, 0.25, 0.5]


@lru_cache(maxsize=1)
def _known_of_peaks() -> Known:
    return _known(EXACT, {t: EXACT.law(t) for t in HALVES}, 1.0, 1)


def joint_on_the_line(member: Member, size: Size) -> Evidence:
    back = _member(NOISED, EXACT.score, EXACT.law(1.0), member)
    grid = between(size.cells(CELLS) * (2 if back.noiseless else 1))
    solved = fpk.solve(walled(back, FENCE), grid, times=HALVES, steps=grid.cells // 8)
    return _joint(Followed(solved) if back.noiseless else solved, _known_of_peaks())


def _halvable(level: Callable[[int], GridMarginals], size: Size) -> GridMarginals:
    """The solution on a grid, which can be asked for that on half of its cells."""
    cells = size.cells(CELLS)
    return replace(level(cells), halved=lambda: level(cells // 2))


@lru_cache(maxsize=2)
def _known_of_state_noise(size: Size) -> Known:
    laws = {t: ahead(size.cells(CELLS)).law(t) for t in QUARTERS}
    return _known(_halvable(ahead, size), laws, 0.5, 1)


def joint_of_state_noise(member: Member, size: Size) -> Evidence:
    def level(cells: int) -> GridMarginals:
        there = ahead(cells)
        back = _member(WAVY, there.score, there.law(0.5), member)
        return fpk.solve(back, there.grid, times=QUARTERS, steps=cells // 10)

    return _joint(_halvable(level, size), _known_of_state_noise(size))


@lru_cache(maxsize=1)
def _known_of_rotation() -> Known:
    laws = dict.fromkeys(QUARTERS, SPINNING.initial)
    return _known(fpk.exact(SPINNING, times=QUARTERS), laws, 0.5, 2)


def joint_of_rotation(member: Member, size: Size) -> Evidence:
    law = SPINNING.initial
    back = _member(SPINNING, lambda x, t: law.score(x), law, member)
    solved = fpk.solve(back, fpk.Grid(-4.2, 4.2, cells=size.cells(48)) ** 2, times=QUARTERS)
    return _joint(solved, _known_of_rotation())
