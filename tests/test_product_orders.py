"""Every scheme on product grids is among those whose declared order the claim ``grid2d.orders`` confirms, and one order higher refutes."""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

import fpk.fokker_planck.product as package
from fpk.fokker_planck.product.discretisation import ProductScheme
from studies import grid2d_orders
from studies._planes import SCHEMES, enclosed, square

MODULES = [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]
#: Discovered, so that a new scheme cannot skip these tests.
FOUND: dict[str, Any] = {
    str(value): value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, ProductScheme) and not inspect.isclass(value)
}


def test_there_is_something_to_discover() -> None:
    assert len(FOUND) >= 5
    assert set(FOUND.values()) == set(SCHEMES.values())


@pytest.mark.parametrize("name", FOUND)
def test_every_scheme_has_an_order_claim_about_the_order_it_declares(name) -> None:
    scheme = FOUND[name]
    short = next(short for short, known in SCHEMES.items() if known == scheme)
    cases = {case: plan.order for case, plan in grid2d_orders.REFINED.items() if case.partition(",")[0] == short}
    assert cases
    in_space = [order for case, order in cases.items() if not case.endswith("steps")]
    assert in_space == [scheme.order] or short == "Fourier"  # which falls faster than any power


def test_axes_of_the_separable_case_are_those_of_fluxes() -> None:
    for cells in grid2d_orders.AXES:
        axes = SCHEMES["separable"].stepper(enclosed(), square(8.0, cells)).axes
        assert not any(axis.resolved for axis in axes)
