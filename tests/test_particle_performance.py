"""The loops that the engine is raced against have the right laws, and its numbers do not depend on how the work is cut; no speed is asserted."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk import kept_loops
from fpk.catalogue import load_catalogue
from fpk.laws import Array
from fpk.study import Size

#: Probability that one statistical test fails though everything is right.
ALPHA = 1e-6
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs fpk[dask]")
ROOT = Path(fpk.__file__).parents[1]
CATALOGUE = load_catalogue(ROOT / "studies")
PACKAGE = next(s.module.rpartition(".")[0] for s in CATALOGUE.studies if s.claim == "perf.particles.ou")


def part(name: str) -> Any:
    """A module of the study, as the catalogue imported it."""
    return importlib.import_module(f"{PACKAGE}.{name}")


baselines, peers, particles, timing = (
    part(name) for name in ("_particle_baselines", "_particle_peers", "particle_rates", "_timing")
)

CLAIMS = {claim.id: claim for claim in particles.CLAIMS}
STUDIES = {s.claim: s for s in CATALOGUE.studies if s.claim in CLAIMS}
pieces = importlib.import_module(f"{PACKAGE.rpartition('.')[0]}._pieces")


def on_workers(
    client: Any, make: Callable[[], fpk.Problem], *, particles: int, size: int, workers: int = 1, **options: Any
) -> Array:
    """As ``in_pieces`` for the problem that ``make`` makes, shared among the first ``workers`` processes of a Dask client.

    ``make`` is called in the workers; it is a function inside another (or a lambda), which travels whole, or one of a module that workers can import.
    """
    chosen = sorted(client.scheduler_info(n_workers=-1)["workers"])[:workers]

    def piece(first: int, count: int) -> Array:
        return fpk.simulate(make(), first=first, particles=count, **options).positions

    futures = [
        client.submit(piece, a, n, workers=chosen[k % workers], pure=False)
        for k, (a, n) in enumerate(pieces.cuts(particles, size))
    ]
    return np.concatenate(client.gather(futures), axis=2)


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A Dask client of so many worker processes with one thread each, on this machine."""
    from distributed import Client, LocalCluster

    here: Any = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    free = {"dashboard_address": "127.0.0.1:0"}  # any free port
    with LocalCluster(**here, processes=True, scheduler_kwargs=free) as processes, Client(processes) as client:
        yield client


def differing(first: Array, second: Array) -> int:
    """How many float64 of two arrays of one shape have different bits."""
    return int(np.count_nonzero(first.view(np.uint64) != second.view(np.uint64)))


def limit(count: int) -> float:
    """Two-sided quantile for ``count`` statistics at :data:`ALPHA` together."""
    return float(stats.norm.isf(ALPHA / (2 * count)))


def linear_chain(
    matrix: np.ndarray, shift: np.ndarray, noise: np.ndarray, start: tuple[np.ndarray, np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance after the Euler steps of a linear equation on [0, 1]."""
    mean, covariance = start
    whole = np.eye(len(matrix)) + matrix / steps
    for _ in range(steps):
        mean = whole @ mean + shift / steps
        covariance = whole @ covariance @ whole.T + noise @ noise.T / steps
    return mean, covariance


def far(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Largest |z| of the means and covariances of Gaussian x (d, n)."""
    n, spread = x.shape[1], np.sqrt(np.diag(covariance))
    means = (x.mean(1) - mean) / (spread / n**0.5)
    errors = np.sqrt((np.outer(spread**2, spread**2) + covariance**2) / (n - 1))
    return float(max(np.abs(means).max(), np.abs((np.cov(x).reshape(covariance.shape) - covariance) / errors).max()))


LINEAR = {
    "spring": (
        baselines.SPRING,
        (-np.eye(1), np.zeros(1), np.array([[2**0.5]]), (np.ones(1), 0.04 * np.eye(1))),
    ),
    "triple": (
        baselines.TRIPLE,
        (baselines.MATRIX, baselines.SHIFT, baselines.NOISE, (np.zeros(3), np.eye(3))),
    ),
}


@pytest.mark.parametrize("precision", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_loops_have_the_law_of_their_euler_chain(name: str, precision: Any) -> None:
    """One test in a million fails by chance, for each system and precision."""
    system, chain = LINEAR[name]
    x = baselines.ensemble(system, particles=100_000, steps=10, precision=precision)
    assert far(x, *linear_chain(*chain, steps=10)) < limit(2 + 12)


def test_the_loop_by_numba_has_the_law_of_its_euler_chain() -> None:
    x = baselines.by_numba(particles=100_000, steps=10)
    assert far(x, *linear_chain(*LINEAR["spring"][1], steps=10)) < limit(2)


def plain(
    drift: Callable[..., Any], noise: Callable[[float], float], x: np.ndarray, steps: int, seed: int
) -> np.ndarray:
    """Euler–Maruyama as it stands in a textbook, x of shape (n, d)."""
    rng, h = np.random.default_rng(seed), 1 / steps
    for k in range(steps):
        x = x + h * drift(x, k * h) + noise(k * h) * h**0.5 * rng.standard_normal(x.shape)
    return x


@pytest.mark.parametrize("name", ["WELLS", "RING"])
def test_nonlinear_loops_have_the_law_of_a_textbook_loop(name: str, seed: int) -> None:
    """Means of x, |x|², x₀²x₁² and cos 3x₀ against an independent ensemble; one test in a million fails by chance."""
    system, n, steps = getattr(baselines, name), 60_000, 20
    problem = system.problem(1.0)
    start = problem.initial.sample(n, np.random.default_rng(seed))
    noise = lambda t: float(np.ravel(problem.diffusion(start[:1], t))[0])  # noqa: E731
    textbook = plain(problem.drift, noise, start, steps, seed + 1).T
    fast = baselines.ensemble(system, particles=n, steps=steps)
    looked_at = [np.stack([*y, (y**2).sum(0), (y[0] * y[1]) ** 2, np.cos(3 * y[0])]) for y in (fast, textbook)]
    gap = looked_at[0].mean(1) - looked_at[1].mean(1)
    error = np.sqrt(sum(values.var(1) for values in looked_at) / n)
    assert np.abs(gap / error).max() < limit(len(gap))


@pytest.mark.parametrize("system", baselines.SYSTEMS, ids=lambda system: system.name)
def test_a_last_block_may_be_short_and_threads_change_nothing(system: Any) -> None:
    one, two = (baselines.ensemble(system, particles=1000, steps=5, block=300, threads=threads) for threads in (1, 2))
    assert one.shape == (system.dimension, 1000)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("system", "name"),
    [(system, name) for system in baselines.SYSTEMS for name in peers.peers(system)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_peers_have_the_law_of_the_loops(system: Any, name: str) -> None:
    """Mean of |x|² of two independent ensembles; one test in a million fails by chance."""
    x = peers.peers(system)[name](20_000, 20)
    ratio, error = particles._second_moments(x, baselines.ensemble(system, particles=20_000, steps=20))
    assert abs(ratio - 1) < limit(1) * error


def test_all_of_it_runs_only_when_named_and_has_every_variant_of_its_claim() -> None:
    assert len(STUDIES) == 7
    assert all(s.only_when_named for s in STUDIES.values())
    assert {name: set(s.variants) for name, s in STUDIES.items()} == {id: set(c.expected) for id, c in CLAIMS.items()}


@pytest.mark.parametrize(("variant", "negative"), [("stated", True), ("g² + 50 %", False)])
def test_a_race_tells_another_law(variant: str, negative: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(particles, "fastest", lambda system: (8192, np.float64))
    monkeypatch.setattr(particles, "_rates", lambda system: {})
    monkeypatch.setitem(particles.RACES, "perf.particles.ou", particles.Race(baselines.SPRING, 1.0, 40_000, 10))
    study = STUDIES["perf.particles.ou"]
    found = study.compute(study.variants[variant], "", Size("quick"), 0)
    assert found.names == ("time", "law")
    assert (found.first.value[1] < 0) == negative, "the law does not depend on the machine"


def test_wall_clock_sees_waiting_and_cpu_time_does_not() -> None:
    """Generous: other processes share the machine."""

    def works() -> None:
        end = time.process_time() + 0.002
        while time.process_time() < end:
            pass

    def waits() -> None:
        works()
        time.sleep(0.05)

    by_wall, by_cpu = (np.exp(timing.paired(waits, works, pairs=3, clock=clock)) for clock in (timing.WALL, timing.CPU))
    assert np.all(by_cpu < 3)
    assert np.all(by_wall > 2 * by_cpu)


def test_normal_numbers_are_drawn_in_whole_groups_on_any_number_of_threads() -> None:
    particles.normals(10, threads=1)
    particles.normals(10, threads=3)


# -- the same numbers however the work is cut ---------------------------------------------------------------------------------

OPTIONS: dict[str, Any] = {"particles": 5000, "steps": 4, "times": [0.5, 1.0], "seed": 4}


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    """Three processes of Dask; connections that are gone are left to the garbage collector by tornado: collect them here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with cluster(3) as client:
            yield client
        gc.collect()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("system", baselines.SYSTEMS, ids=lambda system: system.name)
def test_threads_do_not_change_a_bit(system: Any, threads: int) -> None:
    problem = system.problem(1.0)
    whole, other = (fpk.simulate(problem, **OPTIONS, threads=count).positions for count in (2, threads))
    assert differing(whole, other) == 0


@pytest.mark.parametrize("size", [7, 1000, 4096])
@pytest.mark.parametrize("system", baselines.SYSTEMS, ids=lambda system: system.name)
def test_pieces_of_any_size_are_the_whole_to_the_last_bit(system: Any, size: int) -> None:
    problem, options = system.problem(1.0), OPTIONS | {"particles": 300 if size == 7 else 5000}
    whole = fpk.simulate(problem, **OPTIONS).positions[:, :, : options["particles"]]
    assert differing(whole, pieces.in_pieces(problem, size=size, **options)) == 0


@needs_dask
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_do_not_change_a_bit(workers: Any, count: int) -> None:
    def make() -> fpk.Problem:
        law = fpk.GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], stds=[0.3, 0.4])
        forward = fpk.noising(fpk.VPSchedule(0.1, 10.0), law)
        return fpk.reverse_time(forward, fpk.exact(forward, times=[1.0]).score, initial=fpk.Gaussian([0.0, 0.0], 1.0))

    whole = fpk.simulate(make(), **OPTIONS).positions
    assert differing(whole, on_workers(workers, make, size=1700, workers=count, **OPTIONS)) == 0


def test_one_bit_is_a_difference_and_the_sign_of_zero_too() -> None:
    x = np.array([1.0, 0.0, 2.0])
    assert differing(x, x.copy()) == 0
    assert differing(x, np.array([np.nextafter(1.0, 2.0), -0.0, 2.0])) == 2


def test_other_numbers_of_particles_are_a_difference() -> None:
    problem = baselines.SPRING.problem(1.0)
    first, second = (fpk.simulate(problem, **OPTIONS, first=k).positions for k in (0, 1))
    assert differing(first, second) > 0.99 * first.size


def test_no_piece_is_one_particle_alone() -> None:
    assert pieces.cuts(9, 4) == [(0, 4), (4, 5)]
    assert pieces.cuts(8, 4) == [(0, 4), (4, 4)]
    assert pieces.cuts(2, 7) == [(0, 2)]


def test_compiled_steps_are_kept_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_loops, "CACHE", tmp_path / "steps")
    monkeypatch.setattr(kept_loops, "KEPT", 3)
    kept = [kept_loops.kept_source(f"x_{k}", f"x = {k}") for k in range(5)]
    assert kept_loops.kept_source("x_4", "x = 4") == kept[-1]
    assert kept[-1] is not None
    assert kept[-1].read_text() == "x = 4"
    assert len(list((tmp_path / "steps").iterdir())) == 3
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(kept_loops, "CACHE", tmp_path / "file")
    assert kept_loops.kept_source("x_5", "x = 5") is None


def test_steps_compiled_in_different_runs_are_not_taken_for_each_other(tmp_path: Path) -> None:
    program = """
import sys, pathlib, fpk
from fpk import kept_loops
kept_loops.CACHE = pathlib.Path(sys.argv[1])
for drift in sys.argv[2:]:
    problem = fpk.Problem(drift, 0.8, initial=fpk.Gaussian(1, 0.3))
    print(fpk.simulate(problem, particles=100, steps=5, times=[0.5], seed=0).positions.sum().hex())
"""

    def run(*drifts: str) -> list[str]:
        command = [sys.executable, "-c", program, str(tmp_path / "steps"), *drifts]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    first, second = *run("sin(x) - x"), *run("sin(3*x) - 3*x")
    assert first != second
    assert run("sin(x) - x", "sin(3*x) - 3*x", "sin(x) - x") == [first, second, first]
