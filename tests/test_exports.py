"""Exports: the same bits in a file and back, labelled; formulas that are those of the problem."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fpk
from fpk import exports
from fpk.coefficients import GradientDrift
from fpk.errors import ProblemError, StoreError

OU = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3))
PLANE = fpk.Problem(fpk.Linear(-1.0), 1.0, initial=fpk.Gaussian([1.0, 0.0], 0.5), name="‹plane› & more")
WALLS = fpk.Boundary("absorbing", -1.0, 1.0)
RESULTS = {
    "grid": lambda: fpk.solve(OU, fpk.Grid(-5, 7, cells=96), times=[0.1, 0.7]),
    "stretched": lambda: fpk.solve(OU, fpk.Grid(-8, 9, cells=96, focus=2.0, breadth=1.0), times=[0.5]),
    "refined": lambda: fpk.refine(lambda k: fpk.solve(OU, fpk.Grid(-5, 7, cells=48 * k), times=[0.7])),
    "flow": lambda: fpk.solve(
        fpk.Problem("-x", 0.0, initial=fpk.Gaussian(1.0, 0.3)), fpk.Grid(-3, 4, cells=64), times=[0.5]
    ),
    "plane": lambda: fpk.solve(
        PLANE, fpk.Grid(-6, 6, cells=32) * fpk.Grid(-5, 5, cells=24), times=[0.2, 0.5]
    ),
    "particles": lambda: fpk.simulate(OU, particles=2_000, steps=8, times=[0.3, 0.7], seed=3),
    "particles in the plane": lambda: fpk.simulate(PLANE, particles=300, steps=8, times=[0.5], seed=3, levels=3),
    "absorbed": lambda: fpk.simulate(
        fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(0.0, 0.1), boundary=WALLS), particles=500, steps=8, times=[1.0], seed=3
    ),
    "exact": lambda: fpk.exact(OU, times=[0.1, 0.7]),
    "records": lambda: ROWS,
}  # fmt: skip
FIRST = {"id": "a", "verdict": "CONFIRMED", "holds": True, "difference": 0.1 + 0.2, "effect": None, "seed": 2**62 + 1}
SECOND = {"id": "b <&>", "verdict": "REFUTED", "holds": False, "difference": -1e-300, "effect": None, "seed": 5}
ROWS = [
    {**FIRST, "key": 2**70, "pair": ["x", "ÿ"], "size": 1},
    {**SECOND, "key": 1, "pair": [], "size": None, "late": 2},
]


@pytest.fixture
def xarray():
    pytest.importorskip("h5netcdf")
    return pytest.importorskip("xarray")


def bits(values):
    """Floating-point numbers as the integers of their bits; anything else as text."""
    values = np.asarray(values)
    return values.view(np.int64).tolist() if values.dtype == float else values.astype(str).tolist()


@pytest.mark.parametrize("name", RESULTS)
def test_a_file_holds_the_same_bits(name, xarray, tmp_path):
    dataset = exports.to_xarray(RESULTS[name]())
    path = exports.to_netcdf(dataset, tmp_path / "result.nc")
    with xarray.open_dataset(path, engine="h5netcdf") as read:
        assert set(read.variables) == set(dataset.variables)
        for variable in dataset.variables:
            assert read[variable].dims == dataset[variable].dims
            assert bits(read[variable]) == bits(dataset[variable]), variable
            assert (read[variable].dtype == bool) == (dataset[variable].dtype == bool)
        assert {key: bits(value) for key, value in read.attrs.items()} == {
            key: bits(value) for key, value in dataset.attrs.items()
        }


@pytest.mark.parametrize("name", RESULTS)
def test_files_are_equal_whoever_makes_the_dataset(name, xarray, tmp_path):
    result = RESULTS[name]()
    path = exports.to_netcdf(result, tmp_path / "result.nc")
    with xarray.open_dataset(path, engine="h5netcdf") as read:
        xarray.testing.assert_identical(read.load(), exports.to_xarray(result))


def test_a_grid_solution_has_its_coordinates_and_its_budgets(xarray):
    solution = RESULTS["grid"]()
    dataset = exports.to_xarray(solution)
    assert dict(dataset.sizes) == {"t": 2, "x": 96, "functional": 8}
    np.testing.assert_array_equal(dataset.density.sel(t=0.7), solution.density(0.7))
    np.testing.assert_allclose((dataset.density * dataset.x_width).sum("x"), dataset.mass, rtol=1e-14)
    mean = (dataset.density * dataset.x_width * dataset.x).sum("x")
    np.testing.assert_allclose(mean, 2 * np.exp(-dataset.t), rtol=1e-6)
    truth = fpk.exact(OU, times=[0.1, 0.7]).expect(fpk.law_panel({t: solution.law(t) for t in solution.times}))
    assert np.all(np.abs(dataset.expectation - truth.value) <= dataset.budget + truth.bias_bound)
    assert dataset.attrs["budget"] == dataset.budget.max()
    assert dataset.attrs["problem"] == "Ornstein–Uhlenbeck"
    assert dataset.attrs["drift"] == "Linear(-1.0, 0.0)"
    assert "WellBalanced6" in dataset.attrs["scheme"]


def test_masses_of_the_cells_of_a_stretched_grid_add_up(xarray):
    dataset = exports.to_xarray(RESULTS["stretched"](), budgets=False)
    assert dataset.x_width.values.min() < 0.2 * dataset.x_width.values.max()
    np.testing.assert_allclose((dataset.density * dataset.x_width).sum("x"), 1.0, atol=1e-9)


def test_axes_of_a_product_grid_are_not_mixed_up(xarray):
    dataset = exports.to_xarray(RESULTS["plane"](), budgets=False)
    assert dataset.density.dims == ("t", "x", "y")
    assert dataset.density.shape == (2, 32, 24)
    cells = dataset.density * dataset.x_width * dataset.y_width
    means = [float((cells * dataset[axis]).sum(("x", "y")).sel(t=0.5)) for axis in "xy"]
    np.testing.assert_allclose(means, [np.exp(-0.5), 0.0], atol=1e-3)
    assert "functional" not in dataset.sizes


def test_particles_keep_their_levels_their_noise_and_where_they_ended(xarray):
    run = RESULTS["absorbed"]()
    dataset = exports.to_xarray(run)
    np.testing.assert_array_equal(dataset.position.sel(t=1.0, level=0), run.fine[0])
    np.testing.assert_array_equal(dataset.absorption_time, run.absorbed)
    np.testing.assert_array_equal(dataset.start, run.start)
    assert dataset.attrs["noise"] == run.noise_key
    assert (dataset.attrs["lower"], dataset.attrs["upper"]) == (-1.0, 1.0)


def test_a_panel_of_ones_own_is_stored_for_particles_in_the_plane(xarray):
    run = RESULTS["particles in the plane"]()
    panel = fpk.law_panel({0.5: fpk.exact(PLANE, times=[0.5]).law(0.5)})
    assert "expectation" not in exports.to_xarray(run)
    np.testing.assert_array_equal(exports.to_xarray(run, panel=panel).expectation, run.expect(panel).value)


def test_records_become_a_table_with_a_type_for_each_column(xarray):
    dataset = exports.to_xarray(ROWS)
    kinds = {name: dataset[name].dtype.kind for name in ("holds", "difference", "seed", "size", "id", "late", "key")}
    assert kinds == {"holds": "b", "difference": "f", "seed": "i", "size": "f", "id": "O", "late": "f", "key": "O"}
    assert dataset.key.values.tolist() == [str(2**70), "1"]  # too large for any number of a file
    assert dataset["pair"].values.tolist() == ['["x", "ÿ"]', "[]"]
    assert np.isnan(dataset["size"][1])
    assert dataset.effect.values.tolist() == ["", ""]


def test_the_records_of_a_report_are_read_from_its_folder(xarray, tmp_path):
    (tmp_path / "records.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    assert exports.to_xarray(tmp_path).identical(exports.to_xarray(str(tmp_path)))
    assert exports.to_xarray(tmp_path)["id"].values.tolist() == ["a", "b <&>"]


def test_a_failed_export_leaves_the_file_that_was_there(xarray, tmp_path, monkeypatch):
    path = exports.to_netcdf(ROWS, tmp_path / "kept.nc")
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xarray.Dataset, "to_netcdf", full)
    with pytest.raises(StoreError, match=r"kept\.nc.*No space left.*folder that exists"):
        exports.to_netcdf(ROWS, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["kept.nc"]


def test_a_folder_that_does_not_exist_is_named(xarray, tmp_path):
    with pytest.raises(StoreError, match="nowhere"):
        exports.to_netcdf(ROWS, tmp_path / "nowhere" / "a.nc")


@pytest.mark.parametrize("given", [3.0, fpk.VPSchedule(), [1, 2], {"id": "a"}])
def test_what_has_no_export_is_refused_with_what_has(given, xarray):
    with pytest.raises(ProblemError, match=r"no export of .*records"):
        exports.to_xarray(given)


def test_without_xarray_the_extra_is_named():
    code = (
        "import sys; sys.modules['xarray'] = None; sys.modules['h5netcdf'] = None\n"
        "from fpk.exports import to_xarray\n"
        "try:\n    to_xarray([])\nexcept ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'fpk[xarray]'" in done.stdout


FORMULAS = {
    "number": (2.0, "2*x", 1),
    "text": ("-x", "sqrt(1 + t**2) + x**2", 1),
    "linear": (fpk.Linear(-2.0, 0.5), 1.0, 1),
    "potential": (GradientDrift("x**4/4", force="sin(t)"), 1.0, 1),
    "system": (["x1", "-x0 - t*x1"], [["1", "0"], ["x0", "2"]], 2),
    "matrices": (fpk.Linear(np.array([[-1.0, -2.0], [2.0, -1.0]]), np.array([1.0, 0.0])), np.array([[1.0], [0.5]]), 2),
    "one for all": ("-t", "1 + x0**2", 2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_those_of_the_problem(name):
    import sympy

    drift, diffusion, dimension = FORMULAS[name]
    problem = fpk.Problem(drift, "1", initial=fpk.Gaussian(np.zeros(dimension), 1.0))
    coefficients = [problem.drift, fpk.problem.Coefficient(diffusion, dimension, "diffusion")]
    x, t = np.random.default_rng(0).normal(size=(1, dimension)), 0.37
    names = ["x"] if dimension == 1 else [f"x{i}" for i in range(dimension)]
    values = {sympy.Symbol(n, real=True): v for n, v in zip([*names, "t"], [*x[0].tolist(), t], strict=True)}
    for coefficient in coefficients:
        found = np.array(sympy.Matrix([exports.to_sympy(coefficient)]).subs(values).evalf().tolist(), float)
        expected = (
            np.broadcast_arrays(coefficient(x, t), x)[0][0] if coefficient(x, t).ndim < 3 else coefficient(x, t)[0]
        )
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-14)


@pytest.mark.parametrize("given", [lambda x, t: -x, fpk.Linear(lambda t: -t)], ids=["function", "linear"])
def test_a_function_has_no_formula_and_that_is_said(given):
    problem = fpk.Problem(given, 1.0, initial=fpk.Gaussian(0.0, 1.0))
    with pytest.raises(ProblemError, match=r"drift .*lambda.* was given as a Python function"):
        exports.to_sympy(problem.drift)


def test_a_formula_of_something_else_is_refused():
    with pytest.raises(ProblemError, match=r"as in to_sympy\(problem\.drift\)"):
        exports.to_sympy("x**2")


def test_the_extra_names_what_the_exports_import():
    import tomllib

    extras = tomllib.loads((Path(fpk.__file__).parents[1] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {need.partition(">")[0] for need in extras["xarray"]} == {"xarray", "h5netcdf", "h5py"}
