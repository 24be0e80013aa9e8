r"""The checker of certificates: reaches every verdict in one again from the numbers in it, with numpy and this file alone.

``python certificate_check.py claim.json ...`` (or ``python -m fpk.certificates claim.json ...``) exits with 0 where everything follows, 1 where
something does not, 2 where a file is no certificate. Nothing of fpk is imported: the rules are written here a second time, from their
statement. With d the difference of two sides, b the sum of their budgets, C its covariance, and for each claim and case

    δ       a third of the smallest effect max_k (|d_k| − b_k − 3 se_k) among its controls,

a form is REFUTED where, for sampled sides, S = min over |e_k| ≤ b_k of (d − e)ᵀ C⁻¹ (d − e) exceeds its quantile (or distribution functions
differ by more than the Dvoretzky–Kiefer–Wolfowitz–Massart bound), for certain ones where |d_k| > 10 b_k does not halve under refinement (|d_k|
> b_k where b is proven); CONFIRMED where |d_k| + z se_k + b_k ≤ δ for all k; UNDECIDED else. S need not be found: every admissible e bounds
it from above, and by Cauchy and Schwarz every direction w from below, S ≥ (|w·d| − Σ|w_k| b_k)² / (wᵀ C w).
Quantiles come from integrals of Fisher's density by bisection.

What is taken over: the numbers of both sides. Their own computation is repeated by ``fpk run ID``; a digest tells whether the file was
altered by accident, and is no signature.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = "fpk-certificate/1"
CONFIRMED, REFUTED, UNDECIDED = "CONFIRMED", "REFUTED", "UNDECIDED"
#: Panels beyond this are tested one functional at a time; numbers of samples beyond that make a covariance known.
LARGE, MANY = 96, 1_000_000
#: Least variance of a direction; unproven budgets count this many times; agreement of errata; tolerance of orders.
COLLINEAR, EXCESS, ERRATUM, ORDER_TOLERANCE = 1e-3, 10.0, 3.0, 0.25
#: Factor on the change from twice the time step, and the least share of the panel's largest budget.
CAUTION, SHARE = 1.5, 0.3
#: Of integrals over an interval, scaled to [−1, 1].
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)
ROUND_OFF = 30 * float(np.finfo(float).eps)
#: Relative error allowed to repeated arithmetic.
REPEATED = 1e-6
#: Clear of the floor, signal to noise, fewest levels, least half width, relative corrections and their number, quantile of a misfit, orders searched.
CLEAN, SIGNAL, FEWEST, MARGIN, CORRECTION, TERMS, MISFIT, ORDERS = 30.0, 3.0, 3, 0.005, 1.5, 3, 1e-4, (-6.0, 14.0)


def problems(certificate: Mapping[str, Any]) -> list[str]:
    """What does not follow in a certificate; empty where everything does. Raises KeyError, TypeError or ValueError where it is none."""
    if certificate["schema"] != SCHEMA:
        raise ValueError(f"schema {certificate['schema']!r}, {SCHEMA!r} is known")
    intact = certificate["digest"] == digest_of(certificate)
    found = [] if intact else ["the digest is not that of the content"]
    forms = certificate["forms"]
    if REFUTED not in {form["expected"] for form in forms}:
        found.append("no form is expected to be refuted: a check that cannot fail shows nothing")
    tolerance = tolerance_of(certificate)
    stated = certificate["tolerance"]["value"]
    if (stated is None) != (tolerance is None) or not close(stated or 0.0, tolerance or 0.0):
        found.append(f"the tolerance is {stated}, but {tolerance} follows from the controls")
    for form in forms:
        found += [f"{form['variant']}: {text}" for text in _form_problems(form, certificate, tolerance)]
    return found


def digest_of(certificate: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of everything but the digest."""
    rest = {name: value for name, value in certificate.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def tolerance_of(certificate: Mapping[str, Any]) -> float | None:
    """The tolerance that follows: of equalities and identities a third of the smallest effect among the controls; None without any."""
    kind = certificate["claim"]["kind"]
    if kind in ("bound", "order"):
        return 0.0 if kind == "bound" else ORDER_TOLERANCE
    effects = [_Pair(form).effect for form in certificate["forms"] if form["expected"] == REFUTED]
    return min(effects) / 3 if effects else None


def _form_problems(form: Mapping[str, Any], certificate: Mapping[str, Any], tolerance: float | None) -> list[str]:
    kind, alpha, beta = certificate["claim"]["kind"], certificate["rule"]["alpha"], certificate["rule"]["beta"]
    pair, found = _Pair(form), []
    if kind == "bound":
        outcome = bounded(pair, alpha, beta)
    elif kind == "order":
        outcome = ordered(pair, form, alpha)
    else:
        agreement = ERRATUM if certificate["claim"]["id"].startswith("err:") else math.inf
        outcome = settled(pair, tolerance, alpha, beta, agreement)
    if form["verdict"] != outcome:
        found.append(f"the verdict is {form['verdict']}, but {outcome} follows from the numbers")
    if form["holds"] != (outcome == form["expected"]):
        found.append(f"holds is {form['holds']}, expected is {form['expected']}, and {outcome} follows")
    shown = (("difference", pair.d), ("budget", pair.b), ("standard_error", pair.se))
    for name, values in () if kind == "order" else shown:
        named = [v for v, at in zip(values, form["panel"]["names"], strict=True) if at == form["functional"]]
        if not any(close(float(form[name]), v) for v in named):
            found.append(f"{name} is {form[name]}, but {named} follows for {form['functional']!r}")
    return found


def close(one: float, other: float) -> bool:
    """Whether two numbers are equal but for repeated arithmetic."""
    return one == other or abs(one - other) <= REPEATED * max(abs(one), abs(other)) + 1e-300


def numbers(values: Any) -> Any:
    """An array from nested lists, in which infinite numbers are words; None stays None."""
    return None if values is None else np.array(values, dtype=object).astype(float)


# -- two sides ---------------------------------------------------------------------------------------------------------


class _Pair:
    """Two sides held against each other: difference d, budget b, covariance C (or variances), standard errors se."""

    def __init__(self, form: Mapping[str, Any]) -> None:
        self.sides = a, b = _side(form["first"]), _side(form["second"])
        self.d = a["value"] - b["value"]
        self.certain = a["covariance"] is None and b["covariance"] is None
        self.proven = a["proven"] and b["proven"]
        coupled = a["noise_key"] is not None and a["noise_key"] == b["noise_key"] and not self.certain
        fine, coarse = (self._blockwise(name) if coupled else None for name in ("block_means", "coarse_block_means"))
        self.blocks = None if fine is None else len(fine)
        self.C = self._summed() if fine is None else np.atleast_2d(np.cov(fine, rowvar=False)) / len(fine)
        self.se = np.sqrt(self.C if self.C.ndim == 1 else np.diag(self.C))
        self.b = a["bias_bound"] + b["bias_bound"]
        if a["scheme"] is not None and a["scheme"] == b["scheme"]:
            self.b = _without_step(a) + _without_step(b)
        elif fine is not None and coarse is not None:
            step = CAUTION * np.abs((fine - coarse).mean(0)) + 3 * (fine - coarse).std(0, ddof=1) / math.sqrt(len(fine))
            self.b = _without_step(a) + _without_step(b) + np.maximum(step, SHARE * step.max())
        self.effect = max(0.0, float(np.max(np.abs(self.d) - self.b - 3 * self.se)))
        sampled = [s["samples"] for s in self.sides if s["samples"] and s["covariance"] is not None]
        self.n = self.blocks or min(sampled, default=math.inf)  # values that the covariance was estimated from
        self.n = math.inf if self.n > MANY else self.n
        self.separate = self.C.ndim == 1 or len(self.d) > LARGE or self.n <= len(self.d) + 1

    def _blockwise(self, name: str) -> Any:
        a, b = (side[name] for side in self.sides)
        return None if a is None or b is None or a.shape != b.shape else a - b

    def _summed(self) -> Any:
        parts = [side["covariance"] for side in self.sides if side["covariance"] is not None]
        if parts and all(part.ndim == 1 for part in parts):
            return sum(parts, np.zeros(len(self.d)))
        return sum((np.diag(p) if p.ndim == 1 else p for p in parts), np.zeros((len(self.d), len(self.d))))

    def shrinks(self) -> Any:
        if all(side["coarser"] is None for side in self.sides):
            return np.zeros(len(self.d), bool)
        one, other = (side["value"] if side["coarser"] is None else side["coarser"] for side in self.sides)
        return np.abs(self.d) <= 0.5 * np.abs(one - other)

    def quantile(self, tail: float) -> float:
        return math.sqrt(fisher(2 * tail, 1, max(self.n - 1, 1)))

    def critical(self, level: float) -> float:
        K, n = len(self.d), self.n
        if self.separate:
            return self.quantile(level / (2 * K)) ** 2
        if math.isinf(n):
            return K * fisher(level, K, math.inf)
        c = fisher(level, K, n - K) * K * (n - 1) / (n - K)
        plain = [s["covariance"] is not None and s["samples"] and not s["averaged"] for s in self.sides]
        one, other = (1 / s["samples"] if single else 0.0 for s, single in zip(self.sides, plain, strict=True))
        asymmetry = 0.0 if self.blocks or not one + other else (one - other) ** 2 / (one + other)
        return c * (1 + c**2 * asymmetry / (2 * K))


def _side(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: numbers(value) if isinstance(value, list) else value for name, value in given.items()}


def _without_step(side: Mapping[str, Any]) -> Any:
    if side["step_bias"] is None:
        return side["bias_bound"]
    known = np.isfinite(side["step_bias"])
    return np.maximum(np.where(known, side["bias_bound"], 0) - np.where(known, side["step_bias"], 0), ROUND_OFF)


# -- equalities, identities, bounds ------------------------------------------------------------------------------------


def settled(pair: _Pair, tolerance: float | None, alpha: float, beta: float, agreement: float) -> str:
    """The verdict on an equality or identity."""
    size = np.abs(pair.d)
    if pair.certain:
        limit = np.maximum(pair.b * (1.0 if pair.proven else EXCESS), np.finfo(float).tiny)
        apart = np.any((size > limit) & (pair.proven | ~pair.shrinks()))
    else:
        apart = _apart(pair, pair.critical(alpha / 2)) or _shapes_apart(pair, alpha / 2)
    if apart:
        return REFUTED
    reach = size + pair.b + pair.quantile(beta) * pair.se
    if tolerance is None or np.any(pair.b > tolerance / 2) or np.any(reach > tolerance):
        return UNDECIDED
    room = pair.b + 5 * pair.se
    explained = (size <= room) | ((size <= agreement * room) & pair.shrinks())
    return CONFIRMED if math.isinf(agreement) or explained.all() else UNDECIDED


def _apart(pair: _Pair, limit: float, sweeps: int = 20_000) -> bool:
    """Whether S > limit: coordinate after coordinate the admissible e that explains most, until its bounds of S decide."""
    d, C, b = pair.d, pair.C, pair.b
    if pair.separate:
        return bool(np.max(np.maximum(np.abs(d) - b, 0) / np.maximum(pair.se, np.finfo(float).tiny)) ** 2 > limit)
    scale = np.sqrt(np.maximum(np.diag(C), np.finfo(float).eps ** 2 * max(1.0, float(np.max(d**2)))))
    units = np.outer(scale, scale)
    variances, axes = np.linalg.eigh(C / units)
    variances = np.maximum(variances, COLLINEAR)
    P = (axes / variances) @ axes.T / units
    C, e = (axes * variances) @ axes.T * units, np.clip(d, -b, b)
    for _ in range(sweeps):
        w = P @ (d - e)
        if (d - e) @ w <= limit:
            return False
        w[np.isinf(b)] = 0.0
        held = np.abs(w) @ np.where(np.isinf(b), 0.0, b)
        if max(0.0, abs(w @ d) - held) ** 2 > limit * (w @ C @ w):
            return True
        for k in range(len(d)):
            e[k] = np.clip(e[k] + P[k] @ (d - e) / P[k, k], -b[k], b[k])
    raise ValueError(f"S is within rounding of its limit {limit:.6g}")


def _shapes_apart(pair: _Pair, level: float) -> bool:
    a, b = pair.sides
    if not len(a["thresholds"]) == len(b["thresholds"]) > 0:
        return False
    sampled = [s["samples"] for s in pair.sides if s["covariance"] is not None and s["samples"]]
    share = level / len(sampled) / max(1, len(a["thresholds"]) // 128)
    gap = np.abs(a["thresholds"] - b["thresholds"]) - a["threshold_bound"] - b["threshold_bound"]
    return float(np.max(gap)) > sum(math.sqrt(math.log(2 / share) / (2 * n)) for n in sampled)


def bounded(pair: _Pair, alpha: float, beta: float) -> str:
    """The verdict on a bound: is every difference below 0?"""
    if np.any(pair.d - math.sqrt(fisher(2 * alpha / len(pair.d), 1, math.inf)) * pair.se - pair.b > 0):
        return REFUTED
    return CONFIRMED if np.all(pair.d + math.sqrt(fisher(2 * beta, 1, math.inf)) * pair.se + pair.b < 0) else UNDECIDED


# -- orders ------------------------------------------------------------------------------------------------------------


def ordered(pair: _Pair, form: Mapping[str, Any], alpha: float) -> str:
    """The verdict on an order: is the enclosure of p within a quarter of what is claimed?"""
    first, second = pair.sides
    turn = np.argsort(-second["value"])
    h, e, C = second["value"][turn], first["value"][turn], first["covariance"]
    if C is None:
        ends = _certain_order(h, e, float(first["bias_bound"].max()))
    else:
        ends = _noisy_order(h, e, np.diag(C)[turn][:, turn] if C.ndim == 1 else C[turn][:, turn], alpha)
    claimed = float(form["panel"]["names"][0])
    if ends is None:
        return UNDECIDED
    if ends[0] - claimed > ORDER_TOLERANCE or claimed - ends[1] > ORDER_TOLERANCE:
        return REFUTED
    return CONFIRMED if max(ends[1] - claimed, claimed - ends[0]) <= ORDER_TOLERANCE else UNDECIDED


def _certain_order(h: Any, e: Any, floor: float) -> tuple[float, float] | None:
    """Local orders of the levels clear of the floor, extrapolated with one power of h, with two, and with both."""
    drowned = np.abs(e) <= CLEAN * floor
    kept = int(np.argmax(drowned)) if drowned.any() else len(e)
    if kept < FEWEST or np.any(~drowned[kept:]) or np.any(np.sign(e[:kept]) != np.sign(e[0])):
        return None
    h, share, gaps = h[:kept], floor / np.abs(e[:kept]), -np.diff(np.log(h[:kept]))
    y, noise = -np.diff(np.log(np.abs(e[:kept]))) / gaps, (share[:-1] + share[1:]) / gaps
    columns = [np.ones(len(y)), *(-np.diff(h**q) / gaps for q in (1, 2))]
    subsets = [(0,), (0, 1), (0, 2), (0, 1, 2)][: 4 if len(y) > 2 else 3]
    weights = [np.linalg.inv(np.stack([columns[k][-len(s) :] for k in s], 1))[0] for s in subsets]
    points = np.array([w @ y[-len(w) :] for w in weights])
    spread = np.array([np.abs(w) @ noise[-len(w) :] for w in weights])
    changes, sizes = np.diff(y), np.abs(np.diff(y))
    doubt = MARGIN + 4 * sizes[-1]
    if len(y) > 2:
        zigzag = np.where(changes[1:] * changes[:-1] < 0, np.minimum(sizes[1:], sizes[:-1]), 0.0)
        grew = sizes[-1] > sizes[-2] + 1e-12 * np.max(np.abs(y))
        doubt = MARGIN + abs(points[3] - points[1]) / 2 + (0.5 + 2 * grew) * sizes[-1] + np.max(zigzag)
    return float(np.min(points - spread) - doubt), float(np.max(points + spread) + doubt)


def _noisy_order(h: Any, e: Any, C: Any, alpha: float) -> tuple[float, float] | None:
    """The likelihood-ratio interval of p in e ~ N(c x^p, C + c² s² Σ_j x^{p+j} x^{p+j}ᵀ), x = h / h_max."""
    C = C + np.diag(np.maximum(1e-9 * np.diag(C), (1e-10 * float(np.max(np.abs(e)))) ** 2 + np.finfo(float).tiny))
    if abs(e[-1]) < SIGNAL * math.sqrt(C[-1, -1]):
        return None
    x = h / h[0]
    grid = np.linspace(*ORDERS, 161)
    values = [_deviance(p, x, e, C)[0] for p in grid]
    best = float(grid[int(np.argmin(values))])
    for half in (0.125 / 8**k for k in range(6)):
        near = np.linspace(best - half, best + half, 17)
        best = float(near[int(np.argmin([_deviance(p, x, e, C)[0] for p in near]))])
    lowest, square = _deviance(best, x, e, C)
    if fisher_tail(square / len(x), len(x), math.inf) < MISFIT:
        return None
    limit = lowest + fisher(alpha, 1, math.inf)
    within = [*(p for p, value in zip(grid, values, strict=True) if value <= limit), best]
    ends = []
    for inside, beyond in ((min(within), min(within) - 0.125), (max(within), max(within) + 0.125)):
        for _ in range(30):
            middle = (inside + beyond) / 2
            outside = _deviance(middle, x, e, C)[0] > limit
            inside, beyond = (inside, middle) if outside else (middle, beyond)
        ends.append(beyond)
    return None if ends[0] <= ORDERS[0] or ends[1] >= ORDERS[1] else (ends[0], ends[1])


def _deviance(p: float, x: Any, e: Any, C: Any) -> tuple[float, float]:
    """−2 log likelihood at the best c of either sign, up to a constant, and its quadratic part; in axes where all is uncorrelated."""
    shapes = x ** (p + np.arange(TERMS + 1)[:, None])
    size, root = np.log((np.abs(e) + np.sqrt(np.diag(C))) / shapes[0]), np.linalg.cholesky(C)
    data, mean, *terms = np.linalg.solve(root, np.vstack([e, shapes[0], CORRECTION * shapes[1:]]).T).T
    axes, singular, _ = np.linalg.svd(np.array(terms).T)
    data, mean, variances = data @ axes, mean @ axes, np.zeros(len(x))
    variances[: len(singular)] = singular**2
    best = (math.inf, math.inf)
    for sign in (1.0, -1.0):
        lower, upper = float(size.min() - 3), float(size.max() + 3)
        for _ in range(7):
            grid = np.linspace(lower, upper, 33)
            c = sign * np.exp(grid)[:, None]
            square = np.sum((data - c * mean) ** 2 / (1 + c**2 * variances), 1)
            total = square + np.sum(np.log1p(c**2 * variances), 1)
            k = int(np.argmin(total))
            lower, upper = grid[k] - (upper - lower) / 32, grid[k] + (upper - lower) / 32
            best = min(best, (float(total[k]), float(square[k])))
    return best


# -- quantiles ---------------------------------------------------------------------------------------------------------


@cache
def fisher(tail: float, first: float, second: float) -> float:
    """X with P(F > x) = tail, F with so many degrees of freedom; infinitely many give χ² / first, and z² of z ~ N(0, 1) for first = 1."""
    low, high = -90.0, 90.0
    for _ in range(70):
        middle = (low + high) / 2
        low, high = (middle, high) if fisher_tail(math.exp(middle), first, second) > tail else (low, middle)
    return math.exp(low)


def fisher_tail(x: float, first: float, second: float) -> float:
    """P(F > x), from integrals of the density of u = log F, whose logarithm is concave with its top at 0."""

    def density(u: Any) -> Any:
        if math.isinf(second):
            return first / 2 * (u - np.expm1(u))
        return first / 2 * u - (first + second) / 2 * np.log1p(first / (first + second) * np.expm1(u))

    def mass(start: float, side: float) -> float:
        reach = 1e-3
        while density(start + side * reach) > density(start) - 45 and reach < 1e3:
            reach *= 1.25
        return reach / 2 * float(WEIGHTS @ np.exp(density(start + side * reach * (NODES + 1) / 2)))

    beyond = mass(abs(math.log(x)), 1.0) if x >= 1 else mass(math.log(x), -1.0)
    share = beyond / (mass(0.0, 1.0) + mass(0.0, -1.0))
    return share if x >= 1 else 1 - share


# -- as a script -------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Check the files named (default: all beside this script) and say what was found; 0, 1 or 2."""
    getattr(sys.stdout, "reconfigure", dict)(errors="backslashreplace")  # a pipe or a file may not take every name
    files = [Path(name) for name in arguments] or sorted(Path(__file__).parent.glob("*.json"))
    if not files:
        print("usage: python certificate_check.py CERTIFICATE.json ...", file=sys.stderr)
    return max((_checked(file) for file in files), default=2)


def _checked(file: Path) -> int:
    try:
        certificate = json.loads(file.read_text(encoding="utf-8"))
        found = problems(certificate)
    except Exception as error:  # a file can be anything
        print(f"{file}: no certificate: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    for text in found:
        print(f"{file}: {text}")
    if not found:
        counts = Counter(form["verdict"] for form in certificate["forms"])
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
        print(f"{file}: all verdicts follow from the numbers ({told}; tolerance {certificate['tolerance']['value']})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
