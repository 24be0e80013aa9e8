"""Assertions about Markov kernels that somebody else wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fpk.battery.kernels import examine_kernel
from fpk.battery.matrices import DRAWS
from fpk.laws import Array, Law
from fpk.testing.examined import examined
from fpk.testing.failure_text import call_text, spent
from fpk.verdict import Verdict


def assert_kernel_stationary(
    kernel: Callable[..., Any],
    target: Law,
    *,
    noise: str = "rng",
    log_acceptance: Callable[[Array, Array], Array] | None = None,
    step: float | None = None,
    reversible: bool = True,
    tolerance: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    alpha: float | None = None,
    **known: Any,
) -> Verdict:
    """One step of a Markov chain leaves the target unchanged, and is reversible.

    Parameters
    ----------
    kernel : callable
        ``kernel(x, rng)`` → positions after one step, (n, d); with injected noise (``noise="normal"``, ``"normal and uniform"``) ``kernel(x, z)`` or
        ``kernel(x, z, u)``, then in d = 1 without any sampling error; with ``log_acceptance`` the proposal ``kernel(x, z)``.
    target : Law
        What should be left unchanged.
    noise, log_acceptance, step, reversible, draws, seed
        As for :func:`fpk.battery.kernels.examine_kernel`; with ``step`` the likely mistake of a Langevin step is named.
    tolerance : float, optional
        How far the law at rest may be off, in units of its spread; default .02, and .05 for draws.
    alpha : float, optional
        Probability of refuting a kernel that leaves the target unchanged and is reversible; default 10⁻⁶, or what the running test may spend.
    **known
        ``preconditioner``, ``gradient`` and ``log_proposal`` of the same function.

    Returns
    -------
    Verdict
        Of the finding that is furthest off.

    Raises
    ------
    Refuted, Undecided
        With a table of the functionals, all findings and the mistakes that would explain them.

    Examples
    --------
    >>> import numpy as np
    >>> import fpk
    >>> law, h = fpk.Gaussian(3.0, 0.7), 0.3
    >>> def walk(x, z, u):
    ...     y = x + np.sqrt(2 * h) * z
    ...     return np.where((np.log(u) < law.log_density(y) - law.log_density(x))[:, None], y, x)
    >>> print(fpk.testing.assert_kernel_stationary(walk, law, noise="normal and uniform").outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    alpha = spent(alpha)
    found = examine_kernel(
        kernel, target, noise=noise, log_acceptance=log_acceptance, step=step, reversible=reversible,
        tolerance=tolerance, draws=draws, seed=seed, alpha=alpha / (1 + reversible), **known,
    )  # fmt: skip
    check = call_text(
        "assert_kernel_stationary", "kernel", "target", noise=noise, tolerance=tolerance, seed=seed, alpha=alpha
    )
    return examined(found, check, alpha=alpha)
