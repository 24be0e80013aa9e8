"""Certificates: verdicts are reached again from their numbers with numpy alone, and what was altered is noticed."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fpk.catalogue import Catalogue
from fpk.certificate_check import ERRATUM, _Pair, bounded, digest_of, fisher, ordered, problems, settled
from fpk.certificates import _side, certificates, file_name, forget_others, write_certificates
from fpk.comparison import below_zero, settle
from fpk.difference import effect_size
from fpk.marginals import Estimate, zero_estimate
from fpk.orders import order_of
from fpk.records import ERRATUM_AGREEMENT, Judged, judged
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


#: Sides with a difference of s times a fixed direction, each of a sort of its own.
Sides = Callable[[float], tuple[Estimate, Estimate]]
WAY = np.array([0.2, -1.0, 0.6, 0.0, 0.4])


def _covariance(n: float, *, collinear: bool = False) -> Any:
    mix = np.eye(5) + 0.5 * np.tri(5)
    mix[4] = mix[3] + (1e-3 if collinear else 0.5) * mix[0]
    return mix @ mix.T / n


def _noisy(
    n: int, *, K: int = 5, diagonal: bool = False, unknown: bool = False, collinear: bool = False, **more: Any
) -> Sides:
    C_ = np.kron(np.eye(K // 5), _covariance(n, collinear=collinear))
    bias = np.full(K, 0.3 / np.sqrt(n))
    bias[2] = np.inf if unknown else bias[2]
    made = {"covariance": np.diag(C_) if diagonal else C_, "samples": n} | more
    return lambda s: (Estimate(s * np.tile(WAY, K // 5), bias, **made), Estimate(np.zeros(K), np.full(K, 1e-6)))


def _certain(**more: Any) -> Sides:
    coarser = more.pop("coarser", None)
    return lambda s: (
        Estimate(s * WAY, np.full(5, 1e-3), coarser=None if coarser is None else coarser * s * WAY, **more),
        Estimate(np.zeros(5), np.full(5, 1e-4), proven=True),
    )


def _blockwise(*, coarse: bool) -> Sides:
    noise, drawn = np.random.default_rng(5).standard_normal((2, 64, 5)) * [[[1e-2]], [[1e-3]]]

    def side(s: float, own: float) -> Estimate:
        blocks = noise + own * drawn + s * WAY
        more = {"coarse_block_means": blocks + own * np.array([0.01, 0.002, 0.0, 0.0, 0.0])} if coarse else {}
        return Estimate(
            blocks.mean(0), np.full(5, 5e-3), covariance=_covariance(6400), samples=6400, block_means=blocks, noise_key="z",
            step_bias=np.array([3e-3, np.inf, 0.0, 5e-3, 4e-3]), **more,
        )  # fmt: skip

    return lambda s: (side(s, 1.0), side(0.0, 0.0))


def _two_schemes(one: str, other: str) -> Sides:
    make = _noisy(500, scheme=one, step_bias=np.full(5, 0.01))
    return lambda s: (make(s)[0], replace(_noisy(900, scheme=other)(0.0)[0], averaged=True))


def _shapes(s: float) -> tuple[Estimate, Estimate]:
    first, second = _noisy(3000)(0.0)
    F = np.linspace(0, 1, 200)
    return (
        replace(first, thresholds=F + s * F * (1 - F), threshold_bound=np.full(200, 1e-3)),
        replace(second, thresholds=F, threshold_bound=np.full(200, 1e-4)),
    )


SIDES: dict[str, Sides] = {
    "estimated budgets": _certain(),
    "a proven budget": _certain(proven=True),
    "a difference that hardly halves": _certain(coarser=2.01),
    "a difference that does not halve": _certain(coarser=1.99),
    "known covariance": _noisy(3_000_000),
    "Hotelling's, skewed": _noisy(60),
    "Hotelling's, averaged": _noisy(60, averaged=True),
    "an unknown budget": _noisy(800, unknown=True),
    "a nearly collinear panel": _noisy(800, collinear=True),
    "variances": _noisy(800, diagonal=True),
    "fewer samples than functionals": _noisy(5),
    "a large panel": _noisy(800, K=100),
    "coupled": _blockwise(coarse=False),
    "coupled with a coarser step": _blockwise(coarse=True),
    "one scheme": _two_schemes("a", "a"),
    "two schemes": _two_schemes("a", "b"),
    "shapes": _shapes,
}


def agree_where_it_flips(theirs: Callable[[float], str], ours: Callable[[float], str], places: Any) -> set[str]:
    """Both programs change their minds at the same places to a part in 10⁴, from one of these numbers to the next; the outcomes met."""
    outcomes = [theirs(place) for place in places]
    for low, high, before, after in zip(places[:-1], places[1:], outcomes[:-1], outcomes[1:], strict=True):
        if before == after:
            continue
        for _ in range(14):
            middle = (low + high) / 2
            low, high = (middle, high) if theirs(middle) == before else (low, middle)
        assert (ours(low * (1 - 1e-4)), ours(high * (1 + 1e-4))) == (before, theirs(high)), (low, before, after)
    return set(outcomes)


@pytest.mark.parametrize("sort", SIDES)
def test_the_checker_changes_its_mind_where_the_judges_do(sort: str) -> None:
    """The same numbers go through two programs, and every rule has a place where the verdict depends on it."""
    make = SIDES[sort]

    def pair(s: float) -> Any:
        return _Pair(json.loads(json.dumps({"first": _side(make(s)[0]), "second": _side(make(s)[1])})))

    sound = pair(0.0)
    unit = float(np.max(sound.se + np.where(np.isinf(sound.b), 0, sound.b)))
    room = float(np.max(np.where(np.isinf(sound.b), 0, sound.b) + sound.quantile(1e-3) * sound.se))
    for erratum, share, level in ((False, 3.0, 1e-6), (False, 3.0, 1e-9), (True, 60.0, 1e-6)):
        their, our = (ERRATUM_AGREEMENT, ERRATUM) if erratum else (np.inf, np.inf)
        met = agree_where_it_flips(
            lambda s, a=their, d=share * room, level=level: str(
                settle(*make(s), effect=3 * d, agreement=a, alpha=level).outcome
            ),
            lambda s, a=our, d=share * room, level=level: settled(pair(s), d, level, 1e-3, a),
            unit * np.geomspace(1e-2, 1e3, 40),
        )
        assert len(met) > 1, (sort, met)
    assert pair(37 * unit).effect == pytest.approx(effect_size(*make(37 * unit)), rel=1e-9)


@pytest.mark.parametrize("make", [_certain(), _noisy(60), _noisy(3_000_000)])
def test_bounds_are_judged_the_same_up_to_their_edges(make: Sides) -> None:
    sound = make(0.0)[0]
    K, spread = len(sound.value), float(np.max(sound.standard_error + sound.bias_bound))

    def lowered(s: float) -> Estimate:
        return replace(sound, value=np.full(K, (s - 20) * spread))

    def ours(s: float) -> str:
        return bounded(
            _Pair(json.loads(json.dumps({"first": _side(lowered(s)), "second": _side(zero_estimate(K))}))), 1e-6, 1e-3
        )

    def theirs(s: float) -> str:
        return str(below_zero(lowered(s)).outcome)

    assert len(agree_where_it_flips(theirs, ours, np.linspace(1, 60, 60))) == 3
    assert [ours(1.0), ours(20.0), ours(60.0)] == ["CONFIRMED", "UNDECIDED", "REFUTED"]


def _levels(
    noise: float, *, wild: float = 0.0, floor: float = 1e-12, count: int = 6, power: float = 2.0
) -> dict[str, Any]:
    h = 0.5 ** np.arange(count)
    errors = h**power * (1 + 0.6 * h - 0.3 * h**2) * (1 + wild * (h == h[2]))
    covariance = None if noise == 0 else (noise * np.outer(h, h) ** 2) * (np.eye(count) + 0.3)
    return {"h": h, "e": errors, "C": covariance, "floor": floor}


def _their_order(levels: Mapping[str, Any], claimed: float) -> str:
    found = order_of(levels["h"], levels["e"], order=claimed, floor=levels["floor"], covariance=levels["C"], alpha=1e-6)
    return str(found.outcome)


def _our_order(levels: Mapping[str, Any], claimed: float) -> str:
    h, samples = levels["h"], None if levels["C"] is None else 500
    first = Estimate(
        levels["e"][::-1],
        np.full(len(h), levels["floor"]),
        covariance=None if samples is None else levels["C"][::-1, ::-1],
        samples=samples,
    )
    form = {"first": _side(first), "second": _side(Estimate(h[::-1], 0 * h)), "panel": {"names": [str(claimed)]}}
    form = json.loads(json.dumps(form))
    return ordered(_Pair(form), form, 1e-6)


@pytest.mark.parametrize(
    "levels",
    [
        _levels(0.0), _levels(0.0, count=4), _levels(0.0, count=3), _levels(0.0, wild=0.1), _levels(0.0, wild=0.9), _levels(0.0, floor=2e-5),
        _levels(1e-6), _levels(1e-4), _levels(1e-3, count=4), _levels(1e-4, wild=0.05),
    ],
)  # fmt: skip
def test_orders_are_enclosed_alike(levels: dict[str, Any]) -> None:
    """The claimed order moves up from 2: its verdict changes at both ends of the interval and the tolerance."""
    met = agree_where_it_flips(
        lambda p: _their_order(levels, p),
        lambda p: _our_order(levels, p),
        np.linspace(2.0, 6.0, 9 if levels["C"] is not None else 161),
    )
    assert "REFUTED" in met


@pytest.mark.parametrize(
    ("make", "low", "high", "claimed"),
    [
        (lambda s: _levels(1e-6, wild=s), 1e-4, 1.0, 7.0),  # no power law fits
        (lambda s: _levels(s), 1e-7, 1.0, 4.0),  # the finest error drowns
        (lambda s: _levels(0.0, floor=s), 1e-9, 1e-2, 7.0),  # too few levels are clear of the floor
    ],
)
def test_levels_say_nothing_from_the_same_place_on(
    make: Callable[[float], dict[str, Any]], low: float, high: float, claimed: float
) -> None:
    places = np.geomspace(low, high, 8)
    met = agree_where_it_flips(lambda s: _their_order(make(s), claimed), lambda s: _our_order(make(s), claimed), places)
    assert {"REFUTED", "UNDECIDED"} <= met


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


def _variance(c: dict[str, Any]) -> None:
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
    "a covariance": (_variance, "stated: the verdict is CONFIRMED, but UNDECIDED follows"),
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


def checked(script: Path, *files: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The checker in a process that has numpy and nothing else."""
    command = [sys.executable, "-W", "error", "-c", BLOCKED, str(script), *map(str, files)]
    environment = os.environ | variables
    return subprocess.run(
        command, cwd="/", capture_output=True, text=True, check=False, timeout=60, env=environment, encoding="utf-8"
    )


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
    altered["forms"][1]["variant"] = "½ missing"
    altered["forms"][1]["verdict"] = "UNDECIDED"
    path.write_text(json.dumps(altered))
    done = checked(script, path, PYTHONIOENCODING="ascii")
    assert r"\xbd missing: the verdict is UNDECIDED" in done.stdout, "where ½ cannot be printed, it is spelt"
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


def test_certificates_from_before_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    records = case_of("equality", deterministic())
    (mine := tmp_path / "mine.json").write_text('{"schema": "another/1"}')
    claims = {"some.claim": Claim("some.claim", "equality", "", "", "", {"x": R})}
    (written,) = write_certificates(records, claims, tmp_path)
    (tmp_path / "old.json").write_bytes(written.read_bytes())
    assert forget_others(tmp_path, [written]) == 1
    assert sorted(tmp_path.glob("*.json")) == [mine, written]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    from fpk.errors import StoreError

    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*file"):
        write_certificates([], {}, tmp_path / "file")
