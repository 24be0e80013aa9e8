"""Every mutant of the library is refuted by a small claim, refused by a solver, or explained."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import fpk
from fpk.catalogue import Catalogue, load_catalogue
from fpk.kill_matrix import mutated_tasks, with_mutant
from fpk.mutants import MUTANTS, planted
from fpk.records import judged
from fpk.runner import Done
from fpk.study import Size
from fpk.tasks import Task, tasks_of

STUDIES = Path(fpk.__file__).parent.parent / "studies"

#: A small claim that refutes each mutant: (claim, form, case) → names.
KILLERS: dict[tuple[str, str, str], list[str]] = {
    ("core.walls", "stated", ""): ["leaking boundary", "flux sign"],
    ("core.positive-scheme", "stated", ""): ["exponential fitting: sign"],
    ("grid1d.splitting", "stated", "steady"): ["potential differences + 1 %"],
    ("S2.E23", "stated", "move, then blur"): ["central differences: sign", "central differences + 1 %"],
    ("S2.E23", "stated", "blur, then move"): ["added noise + 2 %"],
    ("S0.E1-4", "stated", ""): ["score of a mixture: sign", "score of a mixture + 2 %"],
    ("S4.E35-36", "stated", "x²/2"): [
        "drift sign",
        "½ missing in the drift",
        "½ extra in the drift",
        "drift + 1 %",
        "Gibbs law: ½ extra",
        "Gibbs law + 2 %",
    ],
    ("err:S0.E21", "corrected", ""): [
        "linear drift + 1 %",
        "βt for ∫β",
        "∫β + 2 %",
        "β one step of 50 late",
        "sub-VP: σ of VP",
        "sub-VP: σ + 1 %",
        "sub-VP: g + 2 %",
        "sub-VP: e^{−B} for e^{−2B} in g",
        "sub-VP: drift sign",
    ],
    ("S0.E20", "stated", "grid"): [
        "½ missing on g²",
        "½ extra on g²",
        "g² for g",
        "g for g²",
        "D for g",
        "diffusivity + 1 %",
        "diffusivity − 2 %",
        "VE: 2 missing under the root",
        "VE: σ + 1 %",
    ],
    ("S1.E15-16", "stated", "σ = 0"): [
        "VP: α = e^{−B}",
        "VP: σ² for σ",
        "VP: α² + σ² = 1 with e^{−B/2}",
        "VP: ½ missing in the drift",
        "VP: drift sign",
        "VP: β for √β",
        "VP: √(2β) for √β",
        "VP: α + 1 %",
        "VP: σ + 1 %",
        "VP: g + 1 %",
        "score sign",
        "factor 2 in the score",
        "½ extra on the score",
        "score + 2 %",
        "g for g² beside the score",
    ],
    ("S0.E23-26", "stated", "VP"): ["time direction", "reverse clock 2 % slow", "reverse noise at τ"],
    ("S0.E40-41", "stated", "VP"): ["velocity sign", "velocity + 2 %"],
    ("S0.E19", "stated", "grid"): ["σ for σ² of the added noise", "flux + 1 %", "time + 1 %"],
    ("err:S0.E26", "corrected", ""): ["x-derivative sign", "x-derivative + 3 %", "∇·(ggᵀ) dropped"],
    ("S0.E19", "stated", "particles"): [
        "particles: ½ missing on g²",
        "particles: √ missing on Δt",
        "particles: g² for g",
        "particles: D for g",
        "particles: drift sign",
        "particles: ½ extra in the drift",
        "particles: g + 2 %",
        "particles: drift + 5 %",
        "particles: same noise each step",
    ],
    ("core.discrete-law", "stated", ""): ["particles: last step skipped"],
    ("particles.routes", "stated", ""): ["compiled: numbers of the time + 1e-6"],
    ("particles.strong-milstein", "stated", "multiplicative"): ["Milstein: twice the correction"],
    ("particles.limit", "stated", "stochastic Heun, scalar"): ["Heun: Itô drift not converted"],
    ("particles.one-step-platen", "stated", ""): ["Platen: areas left out"],
    ("particles.strong-runge-kutta-4", "stated", "no noise"): ["Runge–Kutta: 1 % of a step missing"],
    ("particles.exact-chain", "stated", "rotation"): ["exact transition: noise + 2 %"],
    ("particles.langevin", "stated", ""): ["MALA: every proposal accepted"],
    ("particles.first-passage", "stated", "two walls"): ["absorption: crossings inside steps missed"],
    ("S4.E68", "stated", ""): [
        "Itô term dropped",
        "read as Stratonovich",
        "∇·(ggᵀ) sign",
        "½ on ∇·(ggᵀ)",
        "∇·(ggᵀ) + 3 %",
        "score of a grid: sign",
        "score of a grid + 2 %",
    ],
    ("grid2d.rotating", "stated", "central"): [
        "plane: ½ on cross terms",
        "plane: cross terms + 1 %",
        "plane: drift + 1 %",
        "Aᵀ for A",
        "½ missing on GGᵀ",
        "GGᵀ + 0.5 %",
    ],
    ("grid2d.rotating", "stated", "positive"): [
        "plane: cross terms dropped",
        "plane: ½ extra in the drift",
        "Selling: one weight dropped",
        "Selling: weights + 5 %",
        "positive: steps 2 % too long",
    ],
    ("grid2d.rotating", "stated", "alternating"): ["plane: cross terms: sign", "alternating: ½ on cross terms"],
    ("grid2d.rotating", "stated", "Fourier"): ["Fourier: k² + 1 %"],
    ("grid2d.state-noise", "stated", "closed form"): ["GᵀG for GGᵀ"],
    ("grid2d.reverse", "stated", "varying matrix"): [
        "∇·(GGᵀ) of a matrix dropped",
        "∇·(GᵀG) for ∇·(GGᵀ)",
        "∇·(GGᵀ) of a matrix + 5 %",
    ],
    ("grid2d.reverse", "stated", "constant matrix"): ["score of a product grid + 5 %"],
    ("grid2d.mass", "stated", "steady"): ["Faber: a tenth of the terms left out"],
    ("grid2d.orders", "stated", "central, steps"): ["Magnus: averages in the wrong order"],
    ("grid2d.orders", "stated", "alternating, both"): ["alternating: corrector missing"],
    ("grid2d.products", "stated", ""): [
        "separable: first axis moved twice",
        "separable: all axes like the first",
        "separable: clock read at the end",
    ],
    ("grid2d.positive", "stated", ""): ["positive: up for down", "positive: a third of the rate of leaving"],
    ("grid2d.stability", "stated", ""): ["alternating: θ halved"],
    ("grid2d.duality", "stated", "central"): ["backwards: exponentials in forward order"],
    ("grid2d.duality", "stated", "alternating"): ["backwards: lines not transposed"],
    ("grid2d.duality", "stated", "separable"): ["backwards: propagators not transposed"],
    ("grid2d.joint", "stated", ""): ["joint laws: not taken back"],
    ("grid2d.flow-density", "stated", ""): [
        "flow: divergence dropped",
        "flow: ½ on the divergence",
        "flow: divergence + 1 %",
        "flow: volume inverted",
    ],
    ("grid2d.round-trip", "stated", "25:1"): ["reversal: ratios at the wrong end"],
    ("grid2d.correction", "stated", ""): ["residuals: generator + 1 %"],
    ("grid2d.bars", "stated", ""): ["product budgets: a thousandth"],
    ("grid3d.tensor", "stated", "central"): ["space: one of three cross terms dropped"],
    ("models.round-trips", "stated", "VP"): ["conversion: sign", "conversion + 0.01 %"],
    ("models.conversions", "stated", "velocity"): ["conversion: x dropped"],
    ("models.adapters", "stated", "noise level"): ["scale of a model's input ignored"],
    ("models.adapters", "stated", "index"): ["index of a model one too high"],
    ("models.minimisers", "stated", "denoising"): ["target of a regression: sign", "target of a regression + 0.1 %"],
    ("models.minimisers", "stated", "implicit"): [
        "implicit objective: divergence halved",
        "implicit objective: divergence + 0.1 %",
    ],
    ("models.bound", "stated", "other data"): ["Girsanov: ¼ for ½"],
    ("models.bound-equality", "stated", "line"): ["relative entropy + 5 %"],
    ("models.pinsker", "stated", "sharp"): ["total variation: ½ missing"],
    ("samplers.ddpm-variance", "stated", "DDPM, β̃"): [
        "posterior variance: √",
        "posterior variance + 1 %",
        "variance of a transition + 0.1 %",
    ],
    ("samplers.limit-euler-maruyama", "stated", "VP"): [
        "reverse SDE: ½ missing on the score",
        "reverse SDE: score + 1 %",
    ],
    ("samplers.order-probability-flow", "stated", "rk4, VP"): ["σ̇: half", "α̇ + 1 %"],
    ("samplers.order-probability-flow", "stated", "heun, VP"): ["Runge–Kutta: one time for all stages"],
    ("samplers.order-dpm-solver2", "stated", "VP"): ["middle of a step too early"],
    ("samplers.limit-ula", "stated", "κ → 0, N κ large"): ["Langevin: √κ for √(2κ)", "Langevin: noise + 1 %"],
    ("samplers.invariant-mala", "stated", "exact field"): ["MALA of fields: ratio inverted"],
    ("samplers.limit-poisson-flow", "stated", "rk4"): ["Poisson field: height + 1 %"],
    ("S4.E96", "stated", "N = 2"): ["Coulomb's law + 1 %"],
    ("S2.P-BP", "stated", "two points"): ["regression: right side + 0.1 %"],
    ("err:S3.H", "corrected", "quarter of the plane"): ["boundary term + 1 %"],
    ("S0.E31", "stated", "two peaks, observed"): ["observation: variance + 1 %"],
    ("err:S0.E36", "corrected", ""): ["noised classifier: gradient + 1 %"],
    ("S0.E36", "stated", ""): ["guided law: exponent + 5 %"],
    ("S1.E60inv", "stated", "one ε"): ["inverted step of DDIM + 0.1 %"],
    ("S4.Ez", "stated", "N = 1"): ["Poisson field: vector + 1 %"],
    ("S1.E65-66", "stated", "the line turned over"): ["bijection: log-determinant + 1 %"],
    ("S4.T-col", "stated", "N = 1"): ["charges of a law: spread + 2 %"],
    ("S4.E95", "stated", "N = 1"): ["Poisson field: upward + 1 %"],
    ("S4.E93-94", "stated", "on the line"): ["Runge–Kutta: steps + 1 %"],
    ("S3.RF2", "stated", ""): ["straightness of a flow − 3 %"],
    ("S3.RF4", "stated", ""): ["straightness of a flow + 5 %"],
    ("S3.RF6", "stated", ""): ["cost of a flow − 2 %"],
    ("S0.T5", "stated", "two points, straight"): ["field of points: weights ignored", "field of points: noise + 1 %"],
    ("S3.T-FMe2e", "stated", "line"): ["target of a regression + 5 %"],
    ("S2.H", "stated", ""): ["probes: quadratic form + 0.5 %"],
    ("S3.T-Cod", "stated", ""): ["characteristics: steps + 1 %"],
    ("S1.T65", "stated", "d = 1"): ["characteristics: divergence sign", "characteristics: divergence + 2 %"],
    ("S3.E14-15", "stated", "noise alone"): ["any (α, σ): g + 1 %", "another clock: pace + 2 %"],
    ("S4.E108-109", "stated", "d = 2"): ["affine layer: log-determinant + 1 %"],
    ("S3.L-NF", "stated", "density, line"): ["layer of tails: log-determinant dropped"],
    ("S4.P-CNF", "stated", "any parameters"): ["continuous layer: divergence + 5 %"],
    ("samplers.chain-closed-form", "stated", "kernels and a map"): ["chain on the line: noise + 0.1 %"],
    ("samplers.chain-closed-form", "stated", "kernels in the plane"): ["chain in the plane: noise + 1 %"],
    ("samplers.chain-plane", "stated", "DDIM, η = 0, normal data"): ["affine chain: matrix + 2 %"],
}
#: Claims that refuse to compute with the mutant: a mass of 1.01, a law that reaches the edges, ripples, noise in the data.
REFUSED = {
    "density of a mixture + 1 %": ("S0.E19", "stated", "grid"),
    "score of a product grid: sign": ("grid2d.reverse", "stated", "constant matrix"),
    "Faber: half of the ellipse": ("grid2d.rotating", "stated", "central"),
    "Selling: offsets mirrored": ("grid2d.rotating", "stated", "positive"),
    "VE: s(t) for √(s(t)² − s(0)²)": ("S0.E20", "stated", "grid"),
}
KILLED = [(name, check) for check, names in KILLERS.items() for name in names]


def test_every_mutant_is_refuted_or_explained() -> None:
    excused = [m.name for m in MUTANTS.values() if m.excuse]
    listed = [*(name for name, _ in KILLED), *excused, *REFUSED]
    assert sorted(listed) == sorted(MUTANTS)


def quick_task(catalogue: Catalogue, check: tuple[str, str, str]) -> Task:
    claim, form, case = check
    tasks = tasks_of(catalogue, catalogue.selected([claim]), size=Size("quick"), root_seed=0)
    (task,) = [t for t in tasks if (t.variant, t.case) == (form, case)]
    return task


@pytest.mark.parametrize(("name", "check"), KILLED, ids=[name for name, _ in KILLED])
def test_a_small_claim_refutes_the_mutant(name: str, check: tuple[str, str, str]) -> None:
    """A refutation needs no tolerance, so the claim's controls need not be computed."""
    catalogue = load_catalogue(STUDIES)
    task = quick_task(catalogue, check)
    evidence, notes = with_mutant(mutated_tasks([task], [name])[0], MUTANTS[name])
    assert notes["differed"]
    assert not notes["error"]
    (found,) = judged(catalogue, [Done(task, evidence, {})])
    assert found.record.verdict == "REFUTED", found.record.reason


@pytest.mark.parametrize(("name", "check"), REFUSED.items(), ids=REFUSED)
def test_a_solver_refuses_the_mutant(name: str, check: tuple[str, str, str]) -> None:
    task = quick_task(load_catalogue(STUDIES), check)
    _, notes = with_mutant(mutated_tasks([task], [name])[0], MUTANTS[name])
    assert notes["error"].startswith(("GridError: ", "MassAtEdges: ", "NonFinite: ", "ProblemError: "))


def test_a_mutant_no_claim_reaches_still_changes_its_formula() -> None:
    schedule = fpk.AffineSchedule(lambda t: 1.0, lambda t: t)
    with planted(MUTANTS["any (α, σ): g + 1 %"]) as calls:
        schedule.diffusion(0.5)
    assert calls.differed
    with planted(MUTANTS["exponential fitting: sign"]) as calls:
        sys.modules["fpk.fokker_planck.fluxes"].bernoulli(np.array([-1.0, 2.0]))  # type: ignore[attr-defined]
    assert calls.differed
