"""What numbers alone tell: signs of orders, residuals and masses, and where two sides are furthest apart."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.testing import assert_conserved, assert_marginals, assert_order, assert_residual, assert_same_law
from fpk.testing.signs import of_order

H = 0.5 ** np.arange(7)


def line_of(failure: fpk.Refuted, name: str) -> str:
    """The line of a fact, or an empty string."""
    found = re.search(rf"(?m)^{name}  +(.+)$", str(failure))
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("errors", "order", "sign"),
    [
        (H**0.5, 1, "order ½ in place of 1: the noise limits the step"),
        (H, 2, "order 1 in place of 2: one term is first order"),
        (H**3, 4, "one order is lost"),
        (H**2, 1, "twice the order claimed: errors look squared"),
        (H**2, 4, "half of the order claimed"),
        (0.02 + 0 * H, 2, "errors do not fall: about 0.02 is left"),
        (H**2 + 0.003, 2, "errors fall at first and stop at about 0.00324"),
        (1 / H, 1, "errors grow"),
        (H**2.6, 4, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_orders_tell_what_has_such_an_order(errors: Any, order: float, sign: str) -> None:
    with pytest.raises((fpk.Refuted, fpk.Undecided)) as failure:
        assert_order(H, errors, order=order)
    if isinstance(failure.value, fpk.Refuted):
        assert line_of(failure.value, "suspect").startswith(sign)
        assert bool(line_of(failure.value, "suspect")) is bool(sign)
    else:
        assert "stop at" in sign  # no power of h, so that no order is enclosed


def test_steps_may_come_in_either_direction() -> None:
    errors = H**2 + 0.003
    signs = of_order(H, errors, 0.0, 2.0), of_order(H[::-1], errors[::-1], 0.0, 2.0)
    assert signs[0] == signs[1]
    assert signs[0][0].startswith("errors fall at first and stop at about 0.00324")


@pytest.mark.parametrize(
    ("residual", "sign"),
    [
        (np.full(9, 0.5), "a constant: 9 of 9 components are off by 0.5"),
        (np.eye(9)[3], r"1 of 9 components are off: value 3"),
        (np.linspace(0.1, 1, 9), "a term of one sign: 9 of 9 components are positive"),
        (np.linspace(-1, 1, 9), ""),
        (np.ones(1), ""),
    ],
    ids=["constant", "single", "sign", "none", "alone"],
)
def test_residuals_tell_which_components_are_off(residual: Any, sign: str) -> None:
    with pytest.raises(fpk.Refuted) as failure:
        assert_residual(residual, bound=1e-9, tolerance=1e-6)
    assert line_of(failure.value, "suspect") == sign


def test_masses_tell_where_mass_went() -> None:
    walls = fpk.Boundary("absorbing", 0.0, 1.0)
    leaking = fpk.Problem("0", "1", initial=fpk.Gaussian(0.5, 0.1), boundary=walls, horizon=0.2)
    with pytest.raises(fpk.Refuted) as failure:
        assert_conserved(fpk.solve(leaking, fpk.Grid(0, 1, cells=48), times=[0.2]))
    assert line_of(failure.value, "suspect").startswith("the walls absorb")
    for mass, sign in (([1.0, 1.1], "mass is gained"), ([0.9, 0.8], "mass is lost all the time")):
        with pytest.raises(fpk.Refuted) as failure:
            assert_conserved(SimpleNamespace(times=(0.5, 1.0), mass=np.array(mass)))
        assert line_of(failure.value, "suspect").startswith(sign)


def test_densities_known_on_both_sides_tell_the_worst_place() -> None:
    """Normal densities of one mean: they differ most at it (worst of all for widths this close, by hand)."""
    with pytest.raises(fpk.Refuted) as failure:
        assert_same_law(fpk.Gaussian(2.0, 0.55), fpk.Gaussian(2.0, 0.5), tolerance=0.01)
    p, q, x = map(
        float,
        re.findall(
            r"density ([\d.]+) where ([\d.]+) is expected, at x=([\d.]+)", line_of(failure.value, "furthest apart")
        )[0],
    )
    assert x == pytest.approx(2.0, abs=0.05)
    assert p == pytest.approx(1 / (0.55 * np.sqrt(2 * np.pi)), rel=0.01)
    assert q == pytest.approx(1 / (0.5 * np.sqrt(2 * np.pi)), rel=0.01)


def test_samples_tell_the_worst_place_of_their_distribution_function() -> None:
    x = np.random.default_rng(0).normal([1.0, 0.0], 1.0, size=(20_000, 2))
    with pytest.raises(fpk.Refuted) as failure:
        assert_same_law(x, fpk.Gaussian([0.0, 0.0], 1.0), tolerance=0.02)
    found = re.match(
        r"P\(X ≤ ([\d.]+)\) along \[1\. 0\.\] is ([\d.]+) where ([\d.]+) is expected, at t=0$",
        line_of(failure.value, "furthest apart"),
    )
    assert found
    where, obtained, expected = map(float, found.groups())
    assert where == pytest.approx(0.5, abs=0.15)  # where the two densities cross
    assert obtained == pytest.approx(0.309, abs=0.06)
    assert expected == pytest.approx(0.691, abs=0.06)


def test_a_side_without_thresholds_or_densities_has_no_worst_place() -> None:
    class Alone:
        times = (0.0,)

        def expect(self, panel: Any) -> fpk.Estimate:
            return fpk.Estimate(np.ones(len(panel.names)), np.full(len(panel.names), 1e-9))

    with pytest.raises(fpk.Refuted) as failure:
        assert_marginals(Alone(), fpk.LawMarginals({0.0: fpk.Gaussian(0.0, 1.0)}, (0.0,)), tolerance=0.1)
    assert line_of(failure.value, "furthest apart") == ""
