"""Running studies: resuming, isolation of failures, addresses, and the same bits however many workers there are."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpk import kill_matrix
from fpk.catalogue import Catalogue, load_catalogue
from fpk.errors import ProblemError, StoreError
from fpk.records import exit_code, judged
from fpk.runner import Done, computed, run, versions
from fpk.store import Store
from fpk.study import Size
from fpk.tasks import Task, tasks_of

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs fpk[dask]")


NOISY = """
import os
import sys
import time

import numpy as np

import fpk
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, evidence, study
from fpk.verdict import Outcome

CLAIMS = (
    Claim("ou", "equality", "", "", "", {"stated": Outcome.CONFIRMED, "g² + 50 %": Outcome.REFUTED}),
    Claim("bad", "identity", "", "", "", {"stated": Outcome.CONFIRMED, "wrong": Outcome.REFUTED}),
)


def problem(noise):
    return fpk.Problem("-x", noise, initial=fpk.Gaussian(1.0, 0.5))


@study("ou", variants={"stated": 1.0, "g² + 50 %": 1.5**0.5}, cases=("a", "b", "c"))
def ornstein_uhlenbeck(variant, case, size, seed):
    simulated = fpk.simulate(problem(variant), particles=9000, steps=4, times=[1.0], seed=seed)
    return evidence(simulated, fpk.exact(problem(1.0), times=[1.0]))


@study("bad", variants={"stated": 0.0, "wrong": 1.0}, only_when_named=True)
def bad(variant, case, size, seed):
    if variant == 0.0:
        BAD
    time.sleep(0.2)
    return Evidence(fpk.residual(np.array([variant]), 1e-9), zero_estimate(1), ("r",))
"""


def write(folder: Path, bad: str = "pass") -> Path:
    path = folder / "noisy.py"
    path.write_text(NOISY.replace("BAD", bad))
    return path


def tasks_in(path: Path, *names: str, size: str = "quick", root_seed: int = 0) -> tuple[Catalogue, list[Task]]:
    catalogue = load_catalogue(path)
    return catalogue, tasks_of(catalogue, catalogue.selected(names), size=Size(size), root_seed=root_seed)


def calls(tiny: Path) -> list[str]:
    log = tiny.with_name("calls.log")
    return log.read_text().split() if log.exists() else []


def finished(tasks: list[Task], store: Store, **options: object) -> dict[str, Done]:
    return {done.task.check: done for done in run(tasks, store, **options)}  # type: ignore[arg-type]


# -- serial -----------------------------------------------------------------------------------------------------------------


def test_a_run_stores_evidence_with_its_provenance(tiny: Path, tmp_path: Path) -> None:
    _, tasks = tasks_in(tiny)
    for done in run(tasks, Store(tmp_path / ".fpk")):
        assert done.error == ""
        assert done.evidence is not None
        assert done.provenance["versions"] == versions()
        assert done.provenance["task"]["key"] == done.task.key
        assert done.provenance["cost_seconds"] >= 0


def test_resuming_computes_nothing_anew(tiny: Path, tmp_path: Path) -> None:
    _, tasks = tasks_in(tiny)
    store = Store(tmp_path / ".fpk")
    list(run(tasks, store))
    assert calls(tiny) == ["2.0", "2.1", "-2.0"]
    assert all(done.evidence is not None for done in run(tasks, store))
    assert len(calls(tiny)) == 3


def test_a_run_stopped_half_way_goes_on_where_it_stopped(tiny: Path, tmp_path: Path) -> None:
    _, tasks = tasks_in(tiny)
    store = Store(tmp_path / ".fpk")
    stopped = run(tasks, store)
    next(stopped)
    stopped.close()
    assert calls(tiny) == ["2.0"]
    list(run(tasks, store))
    assert calls(tiny) == ["2.0", "2.1", "-2.0"]


def test_a_run_uses_what_another_has_stored_meanwhile(tiny: Path, tmp_path: Path) -> None:
    _, tasks = tasks_in(tiny)
    store = Store(tmp_path / ".fpk")
    slow = run(tasks, store)
    next(slow)
    assert len(list(run(tasks, store))) == 3
    assert all(done.evidence is not None for done in slow)
    assert calls(tiny) == ["2.0", "2.1", "-2.0"]


def test_a_fresh_run_computes_everything_again(tiny: Path, tmp_path: Path) -> None:
    _, tasks = tasks_in(tiny)
    store = Store(tmp_path / ".fpk")
    list(run(tasks, store))
    list(run(tasks, store, fresh=True))
    assert len(calls(tiny)) == 6


def test_a_damaged_record_is_computed_again_and_only_that_one(tiny: Path, tmp_path: Path) -> None:
    _, tasks = tasks_in(tiny)
    store = Store(tmp_path / ".fpk")
    list(run(tasks, store))
    path = store.path(tasks[1].key)
    path.write_bytes(path.read_bytes()[:-40])
    assert all(done.evidence is not None for done in run(tasks, store))
    assert calls(tiny) == ["2.0", "2.1", "-2.0", "2.1"]


def test_a_record_that_vanishes_after_it_was_computed_is_reported(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tasks = tasks_in(tiny)
    monkeypatch.setattr(Store, "load", lambda self, key: None)
    assert all("vanished or is damaged" in done.error for done in run(tasks, Store(tmp_path / ".fpk")))


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        ("raise RuntimeError('the well is dry')", r"RuntimeError: the well is dry \(while computing bad/stated/ in noisy\.bad, noisy\.py line \d+\)"),
        ("raise fpk.FpkError('not like this')", r"^FpkError: not like this$"),
        ("sys.exit(0)", r"SystemExit: 0 .*bad/stated/"),
        ("return None", r"TypeError: the study returned NoneType, not Evidence .*bad/stated/"),
        ("1 / 0", r"ZeroDivisionError: division by zero .*noisy\.py line \d+"),
        ("fpk.simulate(fpk.Problem(lambda x, t: -x if t < 0.5 else np.nan * x, 1.0, initial=fpk.Gaussian(1.0, 0.5)), particles=9, "
         "steps=4, times=[1.0])", r"NonFinite: particle 0: the drift is \[nan\] at x=\[.*\], t=0\.5"),
    ],
)  # fmt: skip
def test_a_study_that_fails_shows_its_own_error_and_stops_nobody_else(tmp_path: Path, bad: str, shown: str) -> None:
    catalogue, tasks = tasks_in(write(tmp_path, bad), "bad", "ou")
    done = finished(tasks, Store(tmp_path / ".fpk"))
    failed = done.pop("bad/stated/")
    assert re.search(shown, failed.error), failed.error
    assert failed.evidence is None
    assert all(d.evidence is not None and not d.error for d in done.values())
    records = [j.record for j in judged(catalogue, [failed, *done.values()])]
    assert exit_code(records) == 4
    assert [r.verdict for r in records if r.error] == [None]


def test_a_failure_is_not_stored_and_tried_again(tmp_path: Path) -> None:
    flag = tmp_path / "mended"
    path = write(tmp_path, f"assert os.path.exists({str(flag)!r}), 'not mended'")
    _, tasks = tasks_in(path, "bad")
    assert "not mended" in finished(tasks, Store(tmp_path / ".fpk"))["bad/stated/"].error
    flag.touch()
    assert finished(tasks, Store(tmp_path / ".fpk"))["bad/stated/"].error == ""


def test_a_store_that_cannot_be_written_stops_the_run_with_its_path(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / ".fpk").write_text("in the way")
    _, tasks = tasks_in(tiny)
    with pytest.raises(StoreError, match=r"cannot write .*\.fpk"):
        list(run(tasks, Store(tmp_path / ".fpk")))


def test_what_a_study_prints_does_not_reach_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, tasks = tasks_in(write(tmp_path, "print('half way')"), "bad")
    assert computed(tasks[0], str(tmp_path / ".fpk")) == ""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "half way" in captured.err


def test_an_interrupt_goes_through_and_keeps_what_was_finished(tmp_path: Path) -> None:
    _, tasks = tasks_in(write(tmp_path, "raise KeyboardInterrupt"), "ou", "bad")
    store = Store(tmp_path / ".fpk")
    with pytest.raises(KeyboardInterrupt):
        list(run(tasks, store))
    assert len(store.keys()) == 6


def test_a_kill_matrix_that_is_interrupted_ends_its_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, so that its workers are closed: not when nobody refers to it any more."""
    begun: list[Generator[Done, None, None]] = []

    def running(*given: Any, **options: Any) -> Generator[Done, None, None]:
        begun.append(run(*given, **options))
        return begun[-1]

    def interrupted(check: str, left: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kill_matrix, "run", running)
    catalogue, _ = tasks_in(tiny)
    with pytest.raises(KeyboardInterrupt):
        kill_matrix.kill_matrix(catalogue, catalogue.studies, Store(tmp_path / ".fpk"), advance=interrupted)
    assert [inspect.getgeneratorstate(one) for one in begun] == [inspect.GEN_CLOSED]


# -- workers ----------------------------------------------------------------------------------------------------------------


@needs_dask
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("sockets")
def test_serial_and_two_workers_give_the_same_bits(tmp_path: Path) -> None:
    _, tasks = tasks_in(write(tmp_path), "ou")
    serial, parallel = Store(tmp_path / "serial"), Store(tmp_path / "parallel")
    finished(tasks, serial)
    done = finished(tasks, parallel, jobs=2)
    assert {d.error for d in done.values()} == {""}
    assert serial.keys() == parallel.keys() == sorted(task.key for task in tasks)
    for key in serial.keys():  # noqa: SIM118
        with np.load(serial.path(key)) as one, np.load(parallel.path(key)) as other:
            names = set(one.files) - {"head"}  # holds the time it took
            assert names == set(other.files) - {"head"}
            assert all(one[name].tobytes() == other[name].tobytes() for name in names)


@needs_dask
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("sockets")
def test_a_worker_that_dies_is_named_and_no_bystander_is_blamed(tmp_path: Path) -> None:
    _, tasks = tasks_in(write(tmp_path, "os._exit(9)"), "bad", "ou")
    store = Store(tmp_path / ".fpk")
    done = finished(tasks, store, jobs=2)
    assert len(done) == len(tasks)
    culprit = done.pop("bad/stated/")
    assert "worker process died" in culprit.error
    assert "alone: bad/stated/" in culprit.error
    assert {d.error for d in done.values()} == {""}
    assert all(d.evidence is not None for d in done.values())


@needs_dask
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("sockets")
def test_an_error_in_a_worker_reads_like_one_in_this_process(tmp_path: Path) -> None:
    _, tasks = tasks_in(write(tmp_path, "raise RuntimeError('the well is dry')"), "bad")
    serial = finished(tasks, Store(tmp_path / "serial"))
    parallel = finished(tasks, Store(tmp_path / "parallel"), jobs=2)
    assert {k: d.error for k, d in serial.items()} == {k: d.error for k, d in parallel.items()}


def test_workers_without_dask_are_refused_with_the_remedy(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    _, tasks = tasks_in(tiny)
    with pytest.raises(ProblemError, match=r"fpk\[dask\]"):
        list(run(tasks, Store(tmp_path / ".fpk"), jobs=2))
