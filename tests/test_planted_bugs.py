"""Bugs planted in fpk itself: some stated claim of the quick studies must turn to "does not hold", with exit code 1.

Each bug is a replacement in a copy of the source, so that nothing computed at import or cached escapes it; next to it stand the cheapest
claims that have to see it. A replacement whose text is no longer in the source fails: the bug has then to be planted anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import fpk

ROOT = Path(fpk.__file__).parents[1]

RUN = '''
import json, sys
from pathlib import Path
from fpk.records import exit_code, judged
from fpk.runner import run
from fpk.tasks import tasks_of
from fpk.store import Store
from fpk.catalogue import load_catalogue
from fpk.study import Size, near_miss


def gross(claim, variant):
    """Whether the claim has a finer control than this one; nothing is confirmed without all of them, but much is refuted."""
    return claim.expected[variant] == "REFUTED" and not near_miss(variant) and any(map(near_miss, claim.expected))


claims, whole = json.loads(sys.argv[1])
catalogue = load_catalogue(Path("studies"))
tasks = tasks_of(catalogue, catalogue.selected(claims), size=Size("quick"), root_seed=0)
tasks = [task for task in tasks if claims[task.claim] in ("", task.case) and (whole or not gross(catalogue.claims[task.claim], task.variant))]
records = [j.record for j in judged(catalogue, list(run(tasks, Store(Path(".fpk")))))]
print(json.dumps([[r.id, r.variant, r.case, r.verdict, r.holds, r.error] for r in records]))
sys.exit(exit_code(records))
'''

#: Claims by what they rest on, with the case to run (empty: all).
REVERSAL = {"err:S0.E27": ""}
SUB_VP = {"err:S0.E21": ""}
DIVERGENCE = {"err:S0.E26": ""}
FLOW = {"S0.E40-41": "VP"}
VE_FLOW = {"S0.E40-41": "VE"}
FREE_NOISE = {"S1.E1": "σ = ½g"}
STATIONARY = {"S0.R1": ""}
PARTICLES = {"S0.E21-22": "particles"}
CLOCK = {"S2.E26": ""}


@dataclass(frozen=True)
class Bug:
    """A replacement in one file, and the claims that must see it."""

    name: str
    file: str
    right: str
    wrong: str
    claims: dict[str, str]


SCHEDULE = "schedules.py"
DERIVED = "transformations.py"
KERNELS = "fokker_planck/kernels.py"
NOISE_DRIFT = "return divergence + 0.5 * h**2 * s"
VP_ALPHA_SUB_VP_ALPHA = "return float(np.exp(-0.5 * self.integrated_beta(t)))"

BUGS = (
    Bug("the score has the wrong sign", DERIVED, NOISE_DRIFT, "return divergence - 0.5 * h**2 * s", REVERSAL),
    Bug("½ dropped", DERIVED, NOISE_DRIFT, "return divergence + h**2 * s", REVERSAL),
    Bug("g for g²", DERIVED, NOISE_DRIFT, "return divergence + 0.5 * h * s", REVERSAL),
    Bug("½ dropped, seen by the flow", DERIVED, NOISE_DRIFT, "return divergence + h**2 * s", FLOW),
    Bug("∇·(ggᵀ) dropped", DERIVED, NOISE_DRIFT, "return 0.5 * h**2 * s", DIVERGENCE),
    Bug("½ of ∇·(ggᵀ) dropped", DERIVED, "divergence = h * diff", "divergence = 2 * h * diff", DIVERGENCE),
    Bug(
        "the velocity adds what it should subtract",
        DERIVED,
        "return problem.drift(x, t) - _noise_drift(",
        "return problem.drift(x, t) + _noise_drift(",
        FLOW,
    ),
    Bug("free noise without its drift", DERIVED, "x, t) + _noise_drift(h, s, x, t)\n\n    return _derived(problem, drift, h",
        "x, t)\n\n    return _derived(problem, drift, h", FREE_NOISE),
    Bug("the reverse drift keeps the forward sign", DERIVED, "return -_velocity(", "return _velocity(", REVERSAL),
    Bug("the reverse noise reads its own clock", DERIVED, "return lambda tau: h(anywhere, _forward(T, tau))",
        "return lambda tau: h(anywhere, tau)", REVERSAL),
    Bug("time is not reversed", DERIVED, "return min(max(T - tau, 0.0), T)", "return min(max(tau, 0.0), T)", REVERSAL),
    Bug("VP: g = β", SCHEDULE, '"""√β(t)."""\n        return float(np.sqrt(self.beta(t)))',
        '"""√β(t)."""\n        return float(self.beta(t))', REVERSAL),
    Bug("VP: ½ dropped in the drift", SCHEDULE, '"""−½β(t)."""\n        return -0.5 * self.beta(t)\n\n    def diffusion(self, t: float) -> '
        'float:\n        """√β(t)', '"""−½β(t)."""\n        return -self.beta(t)\n\n    def diffusion(self, t: float) -> float:\n'
        '        """√β(t)', REVERSAL),
    Bug("VP: σ² for σ", SCHEDULE, "return float(np.sqrt(-np.expm1(-self.integrated_beta(t))))",
        "return float(-np.expm1(-self.integrated_beta(t)))", REVERSAL),
    Bug("VP and sub-VP: ½ dropped in α", SCHEDULE, VP_ALPHA_SUB_VP_ALPHA, VP_ALPHA_SUB_VP_ALPHA.replace("0.5 * ", ""), REVERSAL),
    Bug("VP and sub-VP: ½ dropped in α, seen by sub-VP", SCHEDULE, VP_ALPHA_SUB_VP_ALPHA,
        VP_ALPHA_SUB_VP_ALPHA.replace("0.5 * ", ""), SUB_VP),
    Bug("VP and sub-VP: ½ dropped in ∫β", SCHEDULE, "0.5 * t**2 * (self._top", "t**2 * (self._top", REVERSAL),
    Bug("sub-VP: √ taken of σ", SCHEDULE, "return float(-np.expm1(-self.integrated_beta(t)))",
        "return float(np.sqrt(-np.expm1(-self.integrated_beta(t))))", SUB_VP),
    Bug("sub-VP: factor 2 dropped in the exponent", SCHEDULE, "np.expm1(-2 * self.integrated_beta(t))",
        "np.expm1(-self.integrated_beta(t))", SUB_VP),
    Bug("sub-VP: √ dropped on the noise", SCHEDULE, "np.sqrt(-self.beta(t) * np.expm1(-2 * self.integrated_beta(t)))",
        "-self.beta(t) * np.expm1(-2 * self.integrated_beta(t))", SUB_VP),
    Bug("VE: σ² is the square of a difference", SCHEDULE, "np.sqrt(self._scale(t) ** 2 - self.sigma_min**2)",
        "self._scale(t) - self.sigma_min", VE_FLOW),
    Bug("VE: factor 2 dropped in g", SCHEDULE, "np.sqrt(2 * np.log(self.sigma_max", "np.sqrt(np.log(self.sigma_max", VE_FLOW),
    Bug("VE: √ dropped in g", SCHEDULE, "self._scale(t) * np.sqrt(2 * np.log(self.sigma_max / self.sigma_min))",
        "self._scale(t) * 2 * np.log(self.sigma_max / self.sigma_min)", VE_FLOW),
    Bug("VE: data shrink", SCHEDULE, '"""α_t = 1."""\n        return 1.0', '"""α_t = 1."""\n        return 1.0 - 0.05 * t', VE_FLOW),
    Bug("grid: D = g²", "problem.py", "0.5 * value**2", "value**2", STATIONARY),
    Bug("grid: the divergence is 1 % too large", KERNELS, "SLOPE[m] / spacing", "1.01 * SLOPE[m] / spacing", SUB_VP),
    Bug("grid: the drift is 2 % too strong", "fokker_planck/fluxes.py", "f = self.problem.drift.column(x, t)",
        "f = 1.02 * self.problem.drift.column(x, t)", STATIONARY),
    Bug("particles: √ dropped on the time step", "particles/steps.py", "known(lambda t, h: h**0.5)", "known(lambda t, h: h)", PARTICLES),
    Bug("particles: the drift is applied twice", "particles/schemes.py", "return x + step.h * step.drift(x) +",
        "return x + 2 * step.h * step.drift(x) +", PARTICLES),
    Bug("laws: the score of a mixture has the wrong sign", "laws/*.py", "return pull * (1.0", "return -pull * (1.0", REVERSAL),
)  # fmt: skip


def tree(folder: Path) -> Path:
    hidden = shutil.ignore_patterns("__pycache__")
    for name in ("fpk", "studies"):
        shutil.copytree(ROOT / name, folder / name, ignore=hidden)
    return folder


def outcome(folder: Path, claims: dict[str, str], *, whole: bool = False) -> tuple[int, list[list[str]]]:
    """Exit code and records of the claims, computed with the fpk in the folder; with gross controls if ``whole``."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([claims, whole])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_contradicts_a_stated_claim(bug: Bug, tmp_path: Path) -> None:
    found = [file for file in (tree(tmp_path) / "fpk").glob(bug.file) if bug.right in file.read_text()]
    assert len(found) == 1, f"{bug.right!r} is in {len(found)} of the files {bug.file}"
    found[0].write_text(found[0].read_text().replace(bug.right, bug.wrong))
    code, records = outcome(tmp_path, bug.claims)
    seen = [r for r in records if r[1] in ("stated", "corrected") and r[3] == "REFUTED"]
    assert code == 1, records
    assert seen, records


def test_without_a_bug_the_same_claims_hold(tmp_path: Path) -> None:
    """Otherwise seeing a bug would mean nothing."""
    tree(tmp_path)
    for claims in (REVERSAL | SUB_VP | DIVERGENCE | STATIONARY | PARTICLES, FLOW, VE_FLOW | FREE_NOISE):
        code, records = outcome(tmp_path, claims, whole=True)
        assert code == 0, [r for r in records if not r[4]]
