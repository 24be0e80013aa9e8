"""Certificates: verdicts are reached again from their numbers with numpy alone, and what was altered is noticed."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fpk.catalogue import Catalogue
from fpk.certificate_check import digest_of, fisher, problems
from fpk.certificates import certificates, file_name, write_certificates
from fpk.marginals import Estimate, zero_estimate
from fpk.records import Judged, judged
from fpk.runner import Done
from fpk.study import Claim, Evidence, Size, Study
from fpk.tasks import task_of
from fpk.verdict import Outcome

C, R, U = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED


def case_of(kind: str, forms: Mapping[str, tuple[Outcome, Evidence]], id: str = "some.claim") -> list[Judged]:
    """The records of a claim whose forms have this evidence."""
    claim = Claim(id, kind, "A statement.", "x", "a source", {name: expected for name, (expected, _) in forms.items()})
    study = Study(id, lambda *a: None, dict.fromkeys(forms), ("",), 1, False, __name__)  # type: ignore[arg-type]
    catalogue = Catalogue(Path("studies"), {id: claim}, (study,))
    tasks = {name: task_of(catalogue, study, name, "", size=Size("quick"), seed=7) for name in forms}
    done = [Done(tasks[name], evidence, {"versions": {"fpk": "0"}}) for name, (_, evidence) in forms.items()]
    return judged(catalogue, done)


def certified(kind: str, forms: Mapping[str, tuple[Outcome, Evidence]], id: str = "some.claim") -> dict[str, Any]:
    """The one certificate of a claim, through JSON."""
    records = case_of(kind, forms, id)
    (found,) = certificates(records, {id: Claim(id, kind, "", "", "", {"x": R})})
    return json.loads(json.dumps(found, allow_nan=False))


def held(first: Estimate, second: Estimate) -> Evidence:
    return Evidence(first, second, tuple(f"f{k}" for k in range(len(first.value))))


def particles(shift: Any, *, seed: int, n: int = 40_000, K: int = 6, bias: float = 2e-3, **more: Any) -> Estimate:
    """Means of K correlated functionals over n samples, shifted."""
    rng = np.random.default_rng(seed)
    mix = np.eye(K) + 0.3 * np.tri(K)
    rows = rng.standard_normal((n, K)) @ mix.T
    return Estimate(
        rows.mean(0) + shift, np.full(K, bias), covariance=np.cov(rows, rowvar=False) / n, samples=n, thresholds=np.linspace(0, 1, 9),
        threshold_bound=np.full(9, 1e-3), source="particles", **more,
    )  # fmt: skip


def grid(shift: Any, K: int = 6, bias: float = 1e-6, **more: Any) -> Estimate:
    more = {"thresholds": np.linspace(0, 1, 9), "threshold_bound": np.full(9, 1e-6)} | more
    return Estimate(np.zeros(K) + shift, np.full(K, bias), source="grid", **more)


def sampled(seed: int) -> dict[str, tuple[Outcome, Evidence]]:
    forms = {"stated": (C, 0.0), "g² + 30 %": (R, 0.3), "sign": (R, 1.5)}
    return {
        name: (expected, held(particles(shift, seed=seed + k), grid(0.0)))
        for k, (name, (expected, shift)) in enumerate(forms.items())
    }


def deterministic() -> dict[str, tuple[Outcome, Evidence]]:
    shifts = {"stated": (C, 1e-6), "near": (R, 3e-3), "sign": (R, 0.5)}
    return {name: (expected, held(grid(shift), grid(0.0))) for name, (expected, shift) in shifts.items()}


def bound() -> dict[str, tuple[Outcome, Evidence]]:
    shifts = {"stated": (C, -1.0), "wrong": (R, 1.0)}
    return {
        name: (expected, held(particles(shift, seed=3 + k), zero_estimate(6)))
        for k, (name, (expected, shift)) in enumerate(shifts.items())
    }


def order(noise: float = 0.0) -> dict[str, tuple[Outcome, Evidence]]:
    h = 0.5 ** np.arange(6)
    C_ = None if noise == 0 else np.diag((noise * h**2) ** 2)

    def errors(p: float) -> Evidence:
        e = Estimate(h**p * (1 + 0.4 * h), np.full(6, 1e-9), covariance=C_, samples=None if C_ is None else 1000)
        return Evidence(e, Estimate(h, np.zeros(6)), ("2.0",))

    return {"stated": (C, errors(2.0)), "half an order less": (R, errors(1.0))}


CASES: dict[str, tuple[str, dict[str, tuple[Outcome, Evidence]]]] = {
    "sampled": ("equality", sampled(11)),
    "deterministic": ("identity", deterministic()),
    "bound": ("bound", bound()),
    "order of certain errors": ("order", order()),
    "order of noisy errors": ("order", order(0.02)),
}


@pytest.fixture(scope="module")
def whole() -> dict[str, dict[str, Any]]:
    """A certificate of every kind."""
    return {name: certified(kind, forms) for name, (kind, forms) in CASES.items()}


# -- what follows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_every_verdict_follows_from_the_numbers(whole: dict[str, dict[str, Any]], name: str) -> None:
    assert [form["verdict"] for form in whole[name]["forms"]][:2] == ["CONFIRMED", "REFUTED"]
    assert problems(whole[name]) == []


def random_pair(rng: np.random.Generator) -> tuple[Outcome, Evidence]:
    """Two sides of any sort: certain or sampled, coupled, of one scheme, large, with few samples, with budgets unknown or proven."""
    K, n = int(rng.integers(1, 9)), int(rng.choice([6, 40, 2000, 3_000_000]))
    mix, shift = rng.standard_normal((K, K + 1)), rng.standard_normal(K) * 10.0 ** rng.uniform(-4, 0)
    blocks = rng.standard_normal((40, K)) * 0.01
    coupled, scheme = bool(rng.integers(2)), rng.choice(["a", "b"], 2)

    def side(k: int) -> Estimate:
        certain = rng.random() < 0.3
        covariance = mix @ mix.T / min(n, 10_000)
        extra = {
            "block_means": blocks + shift * k + 1e-3 * rng.standard_normal((40, K)),
            "noise_key": "z" if coupled else f"z{k}",
        }
        extra |= {"coarse_block_means": extra["block_means"] + 1e-4} if rng.random() < 0.7 else {}
        bias = np.where(rng.random(K) < 0.1, np.inf, 10.0 ** rng.uniform(-6, -2, K))
        return Estimate(
            shift * k, bias, covariance=None if certain else np.diag(covariance) if rng.random() < 0.2 else covariance,
            samples=None if certain else n, averaged=bool(rng.integers(2)), coarser=shift * k * 3 if rng.random() < 0.5 else None,
            proven=bool(rng.integers(2)), step_bias=np.minimum(bias, 1e-4) if rng.random() < 0.5 else None, scheme=str(scheme[k]),
            thresholds=np.linspace(0, 1, 5) + 0.2 * k * rng.random(), threshold_bound=np.full(5, 1e-3),
            **({} if certain else extra),
        )  # fmt: skip

    return (R if rng.random() < 0.7 else C), held(side(0), side(1))


def test_the_checker_agrees_with_the_judges_on_whatever_sides_there_are(seed: int) -> None:
    """No sampling is tested here: the same numbers go through two programs, so one disagreement is one too many."""
    rng, seen = np.random.default_rng(seed), set()
    for k in range(150):
        forms = {"stated": (C, random_pair(rng)[1])}
        K = len(forms["stated"][1].names)
        while len(forms) < 3:
            expected, pair = random_pair(rng)
            if len(pair.names) == K:
                forms[f"form {len(forms)}"] = (R if len(forms) == 1 else expected, pair)
        kind = ("equality", "identity", "bound")[k % 3]
        certificate = certified(kind, forms, id="err:some" if k % 2 else "some")
        assert problems(certificate) == [], (k, kind)
        seen |= {(kind, form["verdict"], form["method"]) for form in certificate["forms"]}
    assert {verdict for _, verdict, _ in seen} == {"CONFIRMED", "REFUTED", "UNDECIDED"}
    assert {method for kind, _, method in seen if kind == "equality"} == {
        "deterministic",
        "coupled",
        "discrete law",
        "independent",
    }


def test_the_checker_agrees_on_orders_whatever_the_errors_are(seed: int) -> None:
    rng, seen = np.random.default_rng(seed), set()
    for k in range(30):
        h, p = 2.0 ** -np.arange(int(rng.integers(3, 7))), rng.choice([1.0, 1.8, 2.0, 2.3])
        size = h**p * (1 + rng.normal(0, 0.5) * h)
        relative = 10.0 ** rng.uniform(-4, -1)
        e = size * (1 + relative * rng.standard_normal(len(h))) if k % 2 else size
        noise = np.diag((relative * size) ** 2) if k % 2 else None
        floor = np.full(len(h), rng.choice([1e-12, 1e-3]))
        first = Estimate(e, floor, covariance=noise, samples=None if noise is None else 1000)
        steps = Estimate(h, np.zeros(len(h)))
        turned = slice(None, None, -1) if noise is None and k % 4 else slice(None)
        first, steps = Estimate(e[turned], floor, covariance=noise, samples=first.samples), Estimate(h[turned], 0 * h)
        certificate = certified(
            "order", {"stated": (C, Evidence(first, steps, ("2.0",))), "wrong": (R, Evidence(first, steps, ("7.0",)))}
        )
        assert problems(certificate) == [], k
        seen |= {(form["verdict"], noise is None) for form in certificate["forms"]}
    assert len(seen) == 6


@pytest.mark.parametrize("degrees", [(1, 1), (1, 5), (3, 40), (30, 1e4), (96, np.inf), (1, np.inf)])
@pytest.mark.parametrize("tail", [0.4, 1e-3, 5e-7])
def test_quantiles_are_those_of_fishers_distribution(degrees: tuple[float, float], tail: float) -> None:
    K, n = degrees
    known = stats.chi2.isf(tail, K) / K if np.isinf(n) else stats.f.isf(tail, K, n)
    assert fisher(tail, K, n) == pytest.approx(known, rel=1e-9)


def test_the_smallest_levels_have_quantiles_too() -> None:
    """P(F > x) = 1 − (2/π) atan √x for one and one degree of freedom."""
    assert fisher(1e-15, 1, 1) == pytest.approx((2 / np.pi / 1e-15) ** 2, rel=1e-9)


# -- what was altered -------------------------------------------------------------------------------------------------------


def stated(certificate: dict[str, Any]) -> dict[str, Any]:
    return certificate["forms"][0]


def _value(c: dict[str, Any]) -> None:
    stated(c)["first"]["value"][2] += 0.7


def _budget(c: dict[str, Any]) -> None:
    stated(c)["first"]["bias_bound"] = [0.5] * 6


def _covariance(c: dict[str, Any]) -> None:
    stated(c)["first"]["covariance"][0][0] *= 1e4


def _tolerance(c: dict[str, Any]) -> None:
    c["tolerance"]["value"] *= 1.001


def _control(c: dict[str, Any]) -> None:
    c["forms"][1]["first"]["value"] = [0.01 * v for v in c["forms"][1]["first"]["value"]]


def _verdict(c: dict[str, Any]) -> None:
    c["forms"][1]["verdict"] = "UNDECIDED"


def _holds(c: dict[str, Any]) -> None:
    stated(c)["holds"] = False


def _expected(c: dict[str, Any]) -> None:
    c["forms"][1]["expected"] = "CONFIRMED"


def _shown(c: dict[str, Any]) -> None:
    stated(c)["difference"] *= 0.9


def _fewer_samples(c: dict[str, Any]) -> None:
    stated(c)["first"]["samples"] = 2


def _shape(c: dict[str, Any]) -> None:
    stated(c)["first"]["thresholds"][4] += 0.4


TELLING: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a value": (_value, "stated: the verdict is CONFIRMED, but REFUTED follows"),
    "a budget": (_budget, "stated: the verdict is CONFIRMED, but UNDECIDED follows"),
    "a covariance": (_covariance, "stated: the verdict is CONFIRMED, but UNDECIDED follows"),
    "the tolerance": (_tolerance, "follows from the controls"),
    "the numbers of a control": (_control, "follows from the controls"),
    "a verdict": (_verdict, "g² + 30 %: the verdict is UNDECIDED, but REFUTED follows"),
    "whether it holds": (_holds, "stated: holds is False"),
    "what is expected": (_expected, "follows from the controls"),
    "the difference shown": (_shown, "stated: difference is"),
    "the number of samples": (_fewer_samples, "stated: the verdict is CONFIRMED, but UNDECIDED follows"),
    "a distribution function": (_shape, "stated: the verdict is CONFIRMED, but REFUTED follows"),
}  # fmt: skip


@pytest.mark.parametrize("what", TELLING)
def test_an_alteration_that_matters_is_noticed_even_with_a_new_digest(
    whole: dict[str, dict[str, Any]], what: str
) -> None:
    alter, message = TELLING[what]
    altered = copy.deepcopy(whole["sampled"])
    alter(altered)
    altered["digest"] = digest_of(altered)
    assert any(message in problem for problem in problems(altered)), problems(altered)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all numbers and words in plain data."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    return [path] if entries is None else [leaf for k, entry in entries for leaf in leaves(entry, (*path, k))]


def test_any_alteration_is_noticed_by_the_digest(whole: dict[str, dict[str, Any]]) -> None:
    original = whole["deterministic"]
    for path in leaves(original):
        if path in (("schema",), ("digest",)):
            continue
        altered = copy.deepcopy(original)
        place = altered
        for step in path[:-1]:
            place = place[step]
        old = place[path[-1]]
        place[path[-1]] = (
            not old if isinstance(old, bool) else old * 2 + 1 if isinstance(old, int | float) else f"{old} "
        )
        assert digest_of(altered) != original["digest"], path


def test_a_claim_without_controls_shows_nothing(whole: dict[str, dict[str, Any]]) -> None:
    lonely = copy.deepcopy(whole["bound"])
    del lonely["forms"][1:]
    lonely["digest"] = digest_of(lonely)
    assert any("cannot fail" in problem for problem in problems(lonely))


# -- files ------------------------------------------------------------------------------------------------------------------

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"fpk", "scipy", "numba", "sympy", "matplotlib", "pandas"}:
            raise ImportError(f"{name} is not to be had here")
sys.meta_path.insert(0, Blocked())
script, sys.argv = sys.argv[1], sys.argv[1:]
import runpy
runpy.run_path(script, run_name="__main__")
"""


def checked(script: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """The checker in a process that has numpy and nothing else."""
    command = [sys.executable, "-W", "error", "-c", BLOCKED, str(script), *map(str, files)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=60)


def test_the_script_beside_the_certificates_needs_numpy_alone(tmp_path: Path) -> None:
    claims = {}
    for name, (kind, forms) in CASES.items():
        claims[name] = Claim(name, kind, "A statement.", "x", "a source", {"stated": C, "x": R})
        (path,) = write_certificates(case_of(kind, forms, name), claims, tmp_path / "deep")
    script = tmp_path / "deep" / "certificate_check.py"
    done = checked(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("all verdicts follow from the numbers") == len(CASES)
    path = tmp_path / "deep" / file_name("deterministic", "")
    altered = json.loads(path.read_text())
    altered["forms"][0]["first"]["value"][0] = 1.0
    path.write_text(json.dumps(altered))
    done = checked(script, path)
    assert done.returncode == 1
    assert "the digest is not that of the content" in done.stdout
    assert "the verdict is CONFIRMED, but REFUTED follows" in done.stdout


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '{"schema": "fpk/1"}', '{"schema": "fpk-certificate/1"}', "[" * 100_000]
)
def test_what_is_no_certificate_is_named_and_exits_with_two(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from fpk.certificate_check import main

    (tmp_path / "x.json").write_text(text)
    assert main([str(tmp_path / "x.json")]) == 2
    assert "x.json: no certificate" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.json")]) == 2


def test_names_of_files_are_plain_and_stay_in_the_folder(tmp_path: Path) -> None:
    hostile = ["../../x", "a/b", "..", ".", "<script>", "a" * 500, "é", "a\x00b", "a b", "a_b", "\ud800"]
    names = [file_name(id, "") for id in hostile]
    assert len(set(names)) == len(names)
    for name in names:
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()
        assert len(name) < 120
        assert name.isascii()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    from fpk.errors import StoreError

    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*file"):
        write_certificates([], {}, tmp_path / "file")
