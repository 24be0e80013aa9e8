"""Check my reverse SDE: a problem and its own reverse must bring the data back.

You learn how a formula of your own becomes a Problem, and what a verdict says when a factor is wrong.
"""

from functools import partial

import fpk

noising = fpk.noising(fpk.VPSchedule(0.6, 3.4), fpk.problems.two_peaks())


def reversed_by_me(problem, score, *, initial, factor=1.0):
    """dY = (−f + factor g² ∇ log p) dτ + g dW̄ in τ = T − t, as many papers print it (with factor ½: the probability flow's)."""
    T = problem.horizon

    def drift(y, tau):
        t = T - tau
        return -problem.drift(y, t) + factor * problem.diffusion(y, t) ** 2 * score(y, t)

    noise = problem.schedule.diffusion
    return fpk.Problem(drift, lambda tau: noise(T - tau), initial=initial, horizon=T)


print(fpk.testing.assert_reverse_equivalent(noising, reverse=reversed_by_me, tolerance=0.01))

try:
    fpk.testing.assert_reverse_equivalent(noising, reverse=partial(reversed_by_me, factor=0.5), tolerance=0.01)
except fpk.Refuted as failure:
    print(f"\nAnd with ½ g²:\n{failure}")
