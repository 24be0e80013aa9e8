r"""A small neural network as a field (extra ``torch``): trained by regression on the conditional targets of a path, or by maximum likelihood.

Regression of one of the kinds minimises, over times t uniform in [start, 1] and fresh noise,

    E |o_θ(α_t x_0 + σ_t z, t) − y|²,      y = a x_0 + (b/c) z  of :mod:`fpk.fields.kinds`:

denoising score matching for ``noise`` (σ² times the loss of the score), ``denoised`` and ``v``, conditional flow matching for ``velocity``.
Maximum likelihood trains the velocity of an ordinary differential equation from the data at t = 0 to N(0, σ_1² I) at t = 1,

    log p_θ(x_0) = log N(x(1); 0, σ_1² I) + ∫_0^1 ∇·v_θ(x(t), t) dt,       dx/dt = v_θ(x, t),

discretised by the classical Runge–Kutta method and differentiated through; its flow goes from the prior to the data along a path of its own.

The same arguments give the same network, to the last bit on one machine: draws are numpy's, the arithmetic is on one thread. Nothing global in
torch is changed.

References
----------
Vincent (2011), equation 11; Ho et al. (2020), equation 14; Lipman et al. (2023), equation 9; Chen et al. (2018), theorem 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.fields import Field, as_field
from fpk.laws import Array, Law
from fpk.models.points import paired
from fpk.schedules import Schedule

OBJECTIVES = ("noise", "denoised", "v", "velocity", "likelihood")
#: Different times in one batch, one in each of as many equal parts of [start, 1].
TIMES = 32
#: Runge–Kutta steps of the likelihood's ordinary differential equation.
FLOW_STEPS = 6
#: Angular frequencies of the time features.
FREQUENCIES = np.pi * np.array([0.5, 1.0, 2.0])


def train(
    data: Law | Array,
    schedule: Schedule,
    *,
    objective: str,
    steps: int = 3000,
    batch: int = 1024,
    width: int = 64,
    rate: float = 4e-3,
    start: float = 0.0,
    seed: int = 0,
) -> Field:
    """Train a network of three hidden layers.

    Parameters
    ----------
    data : Law or array, shape (n, d)
        Drawn from anew for every step; of an array, rows are drawn.
    schedule : Schedule
        With σ_1 and the data of order 1: positions are not normalised.
    objective : str
        One of OBJECTIVES.
    steps : int
        Of Adam, at a rate that rises for a tenth of them and then falls like a cosine.
    batch : int
        Pairs for each step, a multiple of 32.
    width : int
        Of the hidden layers.
    rate : float
        Largest learning rate.
    start : float
        First time of the regression.
    seed : int

    Returns
    -------
    Field
        Of the objective's kind; after maximum likelihood of kind velocity, whose conversions to other kinds mean nothing.

    Raises
    ------
    ProblemError
        For an unknown objective, or a batch that cannot be split over the times.
    ImportError
        Without torch: ``pip install "fpk[torch]"``.
    """
    if objective not in OBJECTIVES:
        raise ProblemError(
            f"a network is trained to one of {', '.join(OBJECTIVES)}, got {objective!r}. (For scores train the noise: score = −noise/σ.)"
        )
    if batch < TIMES or batch % TIMES:
        raise ProblemError(f"a batch has {TIMES} times with equally many pairs, got batch={batch}.")
    rng, source = np.random.default_rng(seed), data if isinstance(data, np.ndarray) else None

    def rows(count: int) -> Array:
        return data.sample(count, rng) if source is None else source[rng.integers(len(source), size=count)]  # type: ignore[union-attr]

    with _apart(seed) as torch:
        network = _network(torch, rows(1).shape[1], width)
        if objective == "likelihood":
            losses = _likelihoods(torch, network, lambda: rows(batch), schedule.sigma(1.0))
        else:
            losses = _regressions(torch, network, objective, lambda: rows(batch), schedule, (start, rng))
        _descend(torch, network, losses, steps, rate)
        network.to(torch.float64)
    kind = "velocity" if objective == "likelihood" else objective
    declared: dict[str, Any] = {"time": "path", "direction": "t_noise", "scale": "path", "time_as": "column"}
    return _on_one_thread(as_field(network, kind=kind, schedule=schedule, **declared))


def _on_one_thread(field: Field) -> Field:
    """The field of a network so small that threads would wait for each other."""

    def function(x: Array, t: float) -> Array:
        with _one_thread():
            return field(x, t)

    return Field(function, field.kind, field.schedule)


@contextmanager
def _one_thread() -> Iterator[Any]:
    """torch on one thread, and on as many as before afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield torch
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _apart(seed: int) -> Iterator[Any]:
    """torch with random numbers of its own, on one thread, recording gradients; all as before afterwards."""
    with _one_thread() as torch, torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        yield torch


def _network(torch: Any, dimension: int, width: int) -> Any:
    """A module of (x, t), x of shape (n, d) and t (n, 1): layers of [x, t, sines and cosines of t]."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("frequencies", torch.tensor(FREQUENCIES, dtype=torch.float32))
            sizes = [dimension + 1 + 2 * len(FREQUENCIES), width, width, width]
            layers = [torch.nn.Linear(a, b, dtype=torch.float32) for a, b in pairwise(sizes)]
            hidden = [part for layer in layers for part in (layer, torch.nn.SiLU())]
            self.layers = torch.nn.Sequential(*hidden, torch.nn.Linear(width, dimension, dtype=torch.float32))

        def forward(self, x: Any, t: Any) -> Any:
            angles = t * self.frequencies
            return self.layers(torch.cat([x, t, torch.sin(angles), torch.cos(angles)], 1))

    return Network()


def _descend(torch: Any, network: Any, losses: Iterator[Any], steps: int, rate: float) -> None:
    """Adam over the first ``steps`` losses."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    for k in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, 10 * (k + 1) / steps) * 0.5 * (1 + np.cos(np.pi * k / steps))
        optimiser.zero_grad(set_to_none=True)
        next(losses).backward()
        optimiser.step()


def _regressions(
    torch: Any, network: Any, kind: str, rows: Any, schedule: Schedule, times: tuple[float, np.random.Generator]
) -> Iterator[Any]:
    """Losses of fresh pairs, at one random time in each of TIMES equal parts of [start, 1]."""
    start, rng = times
    while True:
        t = start + (1 - start) * (np.arange(TIMES) + rng.uniform(size=TIMES)) / TIMES
        parts = np.split(rows(), TIMES)
        pairs = [paired(part, schedule, t=float(s), rng=rng) for part, s in zip(parts, t, strict=True)]
        x, y = (np.concatenate(values) for values in zip(*((p.x, p.target(kind)) for p in pairs), strict=True))
        clock = np.repeat(t, len(parts[0]))[:, None]
        x, y, clock = (torch.tensor(values, dtype=torch.float32) for values in (x, y, clock))
        yield ((network(x, clock) - y) ** 2).sum(1).mean()


def _likelihoods(torch: Any, network: Any, rows: Any, spread: float) -> Iterator[Any]:
    """−log p_θ of fresh data, per row and without its constant."""
    while True:
        x = torch.tensor(rows(), dtype=torch.float32)
        grown, h = torch.zeros(len(x), dtype=torch.float32), 1 / FLOW_STEPS
        for k in range(FLOW_STEPS):
            x, grown = _runge_kutta(torch, network, (x, grown), k * h, h)
        yield (0.5 * (x / spread) ** 2).sum(1).mean() - grown.mean()


def _runge_kutta(torch: Any, network: Any, state: tuple[Any, Any], t: float, h: float) -> tuple[Any, Any]:
    """One classical step of position and ∫∇·v."""
    x, grown = state
    v, slope = _with_divergence(torch, network, x, t)
    sums = [v, slope]
    for share, weight in ((0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):
        v, slope = _with_divergence(torch, network, x + share * h * v, t + share * h)
        sums = [sums[0] + weight * v, sums[1] + weight * slope]
    return x + h / 6 * sums[0], grown + h / 6 * sums[1]


def _with_divergence(torch: Any, network: Any, x: Any, t: float) -> tuple[Any, Any]:
    """V and ∇·v at x, both differentiable."""
    x = x if x.requires_grad else x.requires_grad_()
    v = network(x, torch.full((len(x), 1), t, dtype=torch.float32))
    slopes = [torch.autograd.grad(v[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])]
    return v, sum(slopes)
