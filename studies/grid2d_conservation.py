"""What grids in the plane keep whatever the resolution: mass, the sign of the density where it is promised, pairings, and the way back;
bounded for steps of any length, and products where coordinates do not interact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise, product
from typing import Any

import numpy as np
from scipy.sparse import eye_array
from scipy.sparse.linalg import splu

import fpk
from fpk.fokker_planck.product.discretisation import ProductDiscretisation, discretised
from fpk.fokker_planck.product.fields import fields_at
from fpk.fokker_planck.product.flow import carried
from fpk.fokker_planck.product.positive import POSITIVE
from fpk.fokker_planck.product.reversal import ReversedSteps
from fpk.fokker_planck.product.solutions import ProductMarginals
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._planes import GENERAL, SCHEMES, STRETCHED, TENSOR, below, density_of, l1, rotating, single, square
from ._traces import kept, least
from .performance._product_baselines import ORDERING, nine_point

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "grid2d.positive",
        "bound",
        "With positive=True no density falls below zero at any step, that of a single full cell included; mass stays to 1e-12, and the error is "
        "not above that of the nine-point scheme on the same grid, at an anisotropy of 25:1 turned by 30°.",
        r"D=\sum_e\lambda_e\,e\,e^T,\;\lambda_e\ge0 \;\Rightarrow\; p_t\ge0,\; \int p_t=\int p_0",
        "Selling (1874); Bonnans, Ottenwaelter and Zidani (2004); Fehrenbach and Mirebeau (2014)",
        {"stated": C, "nine points": R, "central differences": R, "a billionth leaks": R},
        {
            "nine points": "the four-point cross term, with the same number of backward Euler steps",
            "central differences": "the default scheme, which undershoots",
            "a billionth leaks": "every step loses 1e-9 of the mass",
        },
    ),
    Claim(
        "grid2d.mass",
        "bound",
        "While the box holds the law, mass is kept to 1e-13 by schemes whose steps are sums that telescope, and to 1e-11 by those that expand "
        "exponentials.",
        r"\Bigl|\int p_t-\int p_0\Bigr|\le10^{-13}\ (10^{-11})",
        "Telescoping sums",
        {"stated": C, "box of three deviations": R, "a billionth leaks": R},
        {
            "box of three deviations": "a box that cuts off a thousandth of the law",
            "a billionth leaks": "every step loses 1e-9 of the mass",
        },
        "Densities resolved: central differences carry waves of a few cells' length to the edges of the box, where they are lost.",
    ),
    Claim(
        "grid2d.duality",
        "identity",
        "Backward steps are the transposes of forward ones: ⟨p_t, u_t⟩ is constant to 1e-12 for every scheme.",
        r"\frac{d}{dt}\langle p_t,u_t\rangle=\langle Ap_t,u_t\rangle-\langle p_t,A^Tu_t\rangle=0",
        "Risken (1989), The Fokker–Planck Equation, section 4.7",
        {"stated": C, "half the drift": R, "drift + 1 %": R, "drift + 0.0001 %": R},
        {
            "half the drift": "expectations are taken back through half the drift",
            "drift + 1 %": "through a drift that is 1 % too large",
            "drift + 0.0001 %": "through a drift that is 1e-6 too large",
        },
    ),
    Claim(
        "grid2d.round-trip",
        "bound",
        "Reversed with its own densities, the jump process on the cells returns from T to its start to 1e-12 in L¹, whatever the tensor.",
        r"q_s=p_s\,E^T(q_t/p_t),\quad p_t=E\,p_s \;\Rightarrow\; q_0=p_0",
        "Anderson (1982); Norris (1997), Markov Chains, theorem 3.7.1",
        {"stated": C, "½ extra": R, "no score": R, "densities at t for T − t": R, "score + 0.0001 %": R},
        {
            "½ extra": "the square roots of the ratios",
            "no score": "the ratios are dropped",
            "densities at t for T − t": "the ratios are read at the wrong end of time",
            "score + 0.0001 %": "the ratios to the power 1 + 1e-6",
        },
    ),
    Claim(
        "grid2d.stability",
        "bound",
        "No step is too long: where a full tensor spreads a single full cell, the Euclidean norm falls at every step, by every scheme.",
        r"\|p_{t+\tau}\|_2\le\|p_t\|_2,\quad D\tau/h^2\in\{1, 30, 300\}",
        "in 't Hout and Welfert (2009); Hochbruck and Ostermann (2010)",
        {"stated": C, "explicit": R, "half of θ": R, "θ − 20 %": R},
        {
            "explicit": "alternating directions with θ = 0",
            "half of θ": "with half of 1 − 1/√2",
            "θ − 20 %": "with a fifth less",
        },
    ),
    Claim(
        "grid2d.products",
        "bound",
        "Where coordinates do not interact, the density in the plane is the product of those that the lines have, each with its own drift, noise "
        "and clock, to 1e-6 in L¹.",
        r"f_i=f_i(x_i,t),\; D=\operatorname{diag}D_{ii}(x_i,t) \;\Rightarrow\; p_t(x)=\prod_i p_t^{(i)}(x_i)",
        "Independence of the coordinates",
        {"stated": C, "axes exchanged": R, "both like the first": R, "no clock": R, "drift + 0.1 %": R},
        {
            "axes exchanged": "the lines have the coefficients of one another",
            "both like the first": "the second line has those of the first",
            "no clock": "the coefficients are those of t = 0",
            "drift + 0.1 %": "the second line's drift is too large by this",
        },
    ),
    Claim(
        "grid2d.flow-density",
        "identity",
        "Along a flow the volume around a point grows with the divergence of the velocity: densities traced back with it have the mass, and the "
        "expectations, that points carry forwards.",
        r"\int\varphi(x)\,p_0(x_0)\,e^{-\int\nabla\cdot v\,dt}\,dx=\int\varphi(X_t(x_0))\,p_0(x_0)\,dx_0",
        "Liouville's formula; Chen et al. (2018), theorem 1",
        {"stated": C, "no divergence": R, "½ extra": R, "sign": R, "divergence + 0.1 %": R},
        {
            "no divergence": "the density is carried along unchanged",
            "½ extra": "with half of the divergence",
            "sign": "with the volume for its inverse",
            "divergence + 0.1 %": "too large by this",
        },
    ),
)  # fmt: skip

LEAK = 1e-9
ROUNDING = 1e-12
Stepped = Iterator[Array]


def _leaking(states: Stepped) -> Stepped:
    """Every step loses a little."""
    return (p * (1 - LEAK) ** (k + 1) for k, p in enumerate(states))


def _stepped(problem: fpk.Problem, grid: ProductGrid, start: Array, steps: int, scheme: Any) -> Stepped:
    """The density after every step to t = 1."""
    plan = discretised(problem, grid, until=1.0, steps=steps, scheme=scheme)
    times = tuple(float(t) for t in np.linspace(0.0, 1.0, steps + 1)[1:])
    return (p for _, p in plan.forward(start, times))


def _nine_points(problem: fpk.Problem, grid: ProductGrid, start: Array, steps: int, scheme: None) -> Stepped:
    """Backward Euler steps of the four-point cross term to t = 1."""
    A, one = nine_point(fields_at(problem, grid)(0.0), grid), eye_array(grid.cells, format="csc")
    factors, p = splu((one - A / steps).tocsc(), permc_spec=ORDERING), start.ravel()
    for _ in range(steps):
        p = factors.solve(p)
        yield p.reshape(grid.shape)


@lru_cache(maxsize=4)
def _tensor_run(how: str, cells: int, steps: int) -> tuple[int, Array, Array, float]:
    """Cells below zero over all steps and one from a single cell; least cell and change of the mass at every step; L¹ error at the end."""
    grid = square(5.0, cells)
    start, exact = density_of(STRETCHED.initial, grid), fpk.exact(STRETCHED, times=[1.0]).law(1.0)
    scheme, _, leaks = how.partition(", ")
    known = scheme in SCHEMES
    stepped = _stepped if known else _nine_points
    states = stepped(STRETCHED, grid, start, steps, SCHEMES.get(scheme))
    found = sum(int((p < 0).sum()) for p in stepped(STRETCHED, grid, single(grid), 1, SCHEMES.get(scheme)))
    lowest, drift, last = np.zeros(steps), np.zeros(steps), start
    for k, p in enumerate(_leaking(states) if leaks else states):
        found, last = found + int((p < 0).sum()), p
        lowest[k], drift[k] = p.min(), (p.sum() - start.sum()) * grid.volume
    return found, lowest, drift, l1(last, density_of(exact, grid), grid)


TENSOR_RUNS = {
    "stated": "positive", "nine points": "nine points", "central differences": "central", "a billionth leaks": "positive, leaking",
}  # fmt: skip


@study("grid2d.positive", variants=TENSOR_RUNS)
def positive(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Twenty steps on [−5, 5]² with standard deviations of 1.4 cells at the start; on the full size 2.9."""
    cells, steps = size.cells(48), 20
    (found, lowest, drift, error), (*_, rival) = (_tensor_run(how, cells, steps) for how in (variant, "nine points"))
    change = float(np.abs(drift).max())
    values = np.array([found - 0.5, change / ROUNDING - 1, error / rival - 1])
    source = f"{found} cells below zero, mass changed by {change:.2g}, L¹ error {error:.3g}, nine points {rival:.3g}"
    names = ("cells below zero", "change of the mass over 1e-12, less 1", "error over that of nine points, less 1")
    t = np.arange(1, steps + 1) / steps
    charts = least(t, lowest), kept(t, {"stated": drift}, {"bound": ROUNDING})
    return Evidence(fpk.residual(values, 1e-6, source=source), zero_estimate(3), names, charts=charts)


START = fpk.Gaussian([1.0, 0.0], 0.5)
SHARED_CLOCK = fpk.Problem(["-x0*(1 + t)", "-2*x1"], ["sqrt(1 + t)", "1"], initial=START, name="shared clock")


def _winding(t: str) -> fpk.Problem:
    """A full tensor and a drift that depend on x, and on t."""
    drift = [f"-x0 - 2*x1 + sin(3*{t})", "2*x0 - x1"]
    noise = [[f"0.7 + 0.2*cos(x1 + {t})", "0.2"], ["0.3", "0.8 + 0.2*sin(x0)"]]
    return fpk.Problem(drift, noise, initial=START, name="winding")


WINDING = _winding("t")
STEADY = {"separable": fpk.Problem(fpk.Linear(-1.0), 1.0, initial=START)}
#: Coefficients that move, but for Fourier differences, which look for their bounds anew at every step then: many seconds.
GIVEN = {"separable": SHARED_CLOCK, "Fourier": _winding("0.3")}
PAIRED, PAIRED_AT = GIVEN | {"Fourier": rotating(std=0.5)}, (0.2, 0.5, 1.0)
#: Half a box that holds the law, with no leak; and what is allowed of the change of the mass, by sums that telescope and by expansions:
#: they are cut at 3e-14 of hundreds of coefficients.
WHOLE, TELESCOPED, EXPANDED = (7.0, False), 1e-13, {"central": 1e-11, "Fourier": 1e-11, "separable": 1e-11}


@lru_cache(maxsize=4)
def _masses(case: str, half: float, cells: int) -> dict[tuple[str, int], Array]:
    """Masses from the start on of every scheme, with one step and with four."""
    grid, found = square(half, cells), {}
    for name, scheme in SCHEMES.items():
        problem = GIVEN.get(name, WINDING) if case == "moving" else STEADY.get(name, rotating(std=0.5))
        start = density_of(problem.initial, grid)
        for steps in (1, 4):
            states = [start, *_stepped(problem, grid, start, steps, scheme)]
            found[name, steps] = np.array([float(p.sum()) for p in states]) * grid.volume
    return found


@study(
    "grid2d.mass",
    variants={"stated": WHOLE, "box of three deviations": (2.2, False), "a billionth leaks": (7.0, True)},
    cases=("steady", "moving"),
)
def mass(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    """Every scheme, with one step and with four."""
    half, leaks = variant
    found, last = {}, {}
    for (name, steps), masses in _masses(case, half, size.cells(72)).items():
        lost = np.abs(masses * (1 - LEAK * leaks) ** np.arange(len(masses)) - masses[0])
        last[name] = lost[1:]
        found[f"{name}, {steps} steps"] = float(lost.max()) / EXPANDED.get(name, TELESCOPED)
    worst = max(found, key=lambda name: found[name])
    kinds = [np.max([last[name] for name in SCHEMES if (name in EXPANDED) == kind], axis=0) for kind in (False, True)]
    lines = (
        {"stated, sums": kinds[0], "stated, expansions": kinds[1]}
        if variant == WHOLE
        else {"worst": np.max(kinds, axis=0)}
    )
    bounds = {"bound of sums": TELESCOPED, "bound of expansions": EXPANDED["central"]}
    chart = kept(np.arange(1, 5) / 4, lines, bounds)
    return below(found, 1.0, f"nearest to its bar: {worst}, {found[worst]:.2g} of it", chart)


def _planned(problem: fpk.Problem, case: str, grid: ProductGrid) -> ProductDiscretisation:
    return discretised(problem, grid, until=1.0, steps=3, scheme=SCHEMES[case])


@lru_cache(maxsize=4)
def _paired(case: str, cells: int) -> tuple[ProductDiscretisation, list[Array]]:
    """A scheme, and its densities at the start and at the times."""
    ahead = _planned(PAIRED.get(case, WINDING), case, square(5.0, cells))
    return ahead, [ahead.start, *(p for _, p in ahead.forward(ahead.start, PAIRED_AT))]


@study(
    "grid2d.duality",
    variants={"stated": 1.0, "half the drift": 0.5, "drift + 1 %": 1.01, "drift + 0.0001 %": 1 + 1e-6},
    cases=tuple(SCHEMES),
)
def duality(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """⟨p_t, u_t⟩ at t = 0, .2, .5 less that at t = 1; the controls take u back with another drift."""
    ahead, states = _paired(case, size.cells(24))
    wrong = replace(ahead.problem, drift=lambda x, t: variant * ahead.problem.drift(x, t))
    back = ahead if variant == 1.0 else _planned(wrong, case, ahead.grid)
    x, y = ahead.grid.points.T
    u = (np.tanh(x) + np.exp(-((y - 0.3) ** 2)) + 1).reshape(ahead.grid.shape)
    pairs = zip(states[::-1], (v for _, v in back.back(u, PAIRED_AT)), strict=True)
    held = np.array([float((p * v).sum()) for p, v in pairs]) * ahead.grid.volume
    first = fpk.residual(held[1:] - held[0], 0.1 * ROUNDING, source=f"pairings by {ahead}")
    return Evidence(first, zero_estimate(3), tuple(f"⟨p, u⟩ at t={t:g}" for t in (0.5, 0.2, 0.0)))


@lru_cache(maxsize=4)
def _ahead(case: str, cells: int) -> ProductMarginals:
    problem = STRETCHED if case == "25:1" else WINDING
    return fpk.solve(problem, square(5.0, cells), times=list(np.linspace(0.0, 1.0, 21)), steps=20, scheme=POSITIVE)


WAYS = "From the way there to the way back", "L¹ distance"
#: What the ratios are made of, from the densities at the stored times.
RATIOS: dict[str, Callable[[Array], Array]] = {
    "stated": lambda p: p,
    "½ extra": np.sqrt,
    "no score": np.ones_like,
    "densities at t for T − t": lambda p: p[::-1],
    "score + 0.0001 %": lambda p: p ** (1 + 1e-6),
}


@study("grid2d.round-trip", variants=RATIOS, cases=("25:1", "moving tensor"))
def round_trip(variant: Callable[[Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """The L¹ distance between the start and where the way there and back ends; drawn at every step."""
    ahead = _ahead(case, size.cells(48))
    steps = ReversedSteps(ahead.plan.stepper, ahead.times, variant(ahead.densities))
    t = ahead.times[-2::-1]
    back = steps.run(ahead.densities[-1], tuple(ahead.times[-1] - s for s in t), 1)
    apart = [l1(q, p, ahead.grid) for (_, q), p in zip(back, ahead.densities[-2::-1], strict=True)]
    chart = kept(np.array(t), {"stated": np.array(apart)}, {"bound": ROUNDING}, WAYS)
    return below({"L¹ of the start": apart[-1]}, ROUNDING, f"reversal of {ahead.source}", chart)


#: 1 − 1/√2 of the alternating scheme times this.
THETAS = {"stated": 1.0, "explicit": 0.0, "half of θ": 0.5, "θ − 20 %": 0.8}
#: Widths² of a cell that D spreads in a step, and how many there are.
LENGTHS, COUNT = (1.0, 30.0, 300.0), 16


@study("grid2d.stability", variants=THETAS)
def stability(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """The largest ratio of the norms after and before a step; the controls are in the alternating scheme."""
    grid = square(5.0, size.cells(24))
    problem = fpk.Problem(0.0, np.linalg.cholesky(2 * TENSOR), initial=fpk.Gaussian([0.0, 0.0], 0.5))
    found = {}
    for name, length in product(GENERAL if variant == 1.0 else ("alternating",), LENGTHS):
        stepper: Any = discretised(problem, grid, until=1.0, steps=1, scheme=SCHEMES[name]).stepper
        if name == "alternating":
            stepper.limits = tuple((courant, variant * theta) for courant, theta in stepper.limits)
        norms, p = [1.0], single(grid) * grid.volume
        for _ in range(COUNT):
            p = stepper.advanced(p, 0.0, length * grid.spacings[0] ** 2)
            norms.append(float(np.linalg.norm(p)))
        found[f"{name}, Dτ/h² = {length:g}"] = max(b / a for a, b in pairwise(norms))
    first = fpk.residual(
        np.array(list(found.values())) - 1 - 1e-9, ROUNDING, source=f"largest {max(found.values()):.6g}"
    )
    return Evidence(first, zero_estimate(len(found)), tuple(found))


#: Drift and noise of each axis at rest; the first is on a clock of its own.
LINES = (("x - x**3", "0.8"), ("0.5 - 2*x", "1"))
CLOCKS = (("(1 + t)", "sqrt(1 + t)"), ("1", "1"))
LINE_STARTS, LINE_BOXES = (fpk.Gaussian(0.5, 0.4), fpk.Gaussian(-0.3, 0.4)), (3.0, 4.0)
#: Whose coefficients the two lines have, whether the clock is kept, and a factor on the second drift.
FACTORS = {
    "stated": ((0, 1), True, 1.0), "axes exchanged": ((1, 0), True, 1.0), "both like the first": ((0, 0), True, 1.0),
    "no clock": ((0, 1), False, 1.0), "drift + 0.1 %": ((0, 1), True, 1.001),
}  # fmt: skip


def _timed(axis: int, x: str, *, ticking: bool = True) -> tuple[str, str]:
    """Drift and noise of an axis in the variable x."""
    (f, g), (drift, noise) = LINES[axis], CLOCKS[axis] if ticking else CLOCKS[1]
    return f"({f.replace('x', x)})*{drift}", f"{g}*{noise}"


@study("grid2d.products", variants=FACTORS)
def products(variant: tuple[tuple[int, int], bool, float], case: str, size: Size, seed: int) -> Evidence:
    """A double well on a clock beside a spring, by propagators along the axes and by the fluxes of one dimension."""
    whose, ticking, factor = variant
    lines = [fpk.Grid(-half, half, cells=size.cells(96)) for half in LINE_BOXES]
    pull, noise = zip(*(_timed(axis, f"x{axis}") for axis in (0, 1)), strict=True)
    start = fpk.Gaussian([own.mean[0] for own in LINE_STARTS], 0.4)
    both = fpk.Problem(list(pull), list(noise), initial=start, name="well and spring")
    found = fpk.solve(both, lines[0] * lines[1], times=[1.0], scheme=SCHEMES["separable"])
    densities = []
    for place, axis in enumerate(whose):
        drift, diffusion = _timed(axis, "x", ticking=ticking)
        scaled = drift if place == 0 else f"{factor!r}*{drift}"
        alone = fpk.Problem(scaled, diffusion, initial=LINE_STARTS[place])
        densities.append(fpk.solve(alone, lines[place], times=[1.0]).density(1.0))
    distance = l1(found.density(1.0), np.outer(*densities), found.grid)
    return below({"L¹ of the product": distance}, 1e-6, f"{found.source}, {distance:.2g} from the product")


FLOW = fpk.Problem(
    ["x1*(1 + t/2)", "sin(x0) - x1*(2 + sin(x0))/4"], 0.0, initial=fpk.Gaussian([0.5, 0.0], 0.5), name="shear"
)


@study(
    "grid2d.flow-density",
    variants={"stated": 1.0, "no divergence": 0.0, "½ extra": 0.5, "sign": -1.0, "divergence + 0.1 %": 1.001},
)
def flow_density(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """At t = 1 on [−5, 5]²; the controls are factors on the logarithm of the volume."""
    run: Any = fpk.solve(FLOW, square(5.0, size.cells(64)), times=[1.0])
    volume = carried(FLOW, run.grid.points, run.mesh[::-1])[1] if variant != 1.0 else 0.0
    p = run.density(1.0).ravel() * np.exp((variant - 1) * volume) * run.grid.volume

    def read(x: Array) -> Array:
        return np.stack([np.ones(len(x)), np.tanh(x[:, 0]), np.tanh(x[:, 1]), np.cos(x[:, 0] + x[:, 1])])

    left = read(run.grid.points) @ p - read(run.points(1.0)) @ run.weights
    first = fpk.residual(left, 1e-6, source=f"densities less points, {run.source}")
    return Evidence(first, zero_estimate(4), ("mass", "E tanh x₀", "E tanh x₁", "E cos(x₀ + x₁)"))
