"""Compiling ahead: a process of its own where nothing is compiled yet, and none where something is."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import fpk
from fpk import compile_ahead
from fpk.command_line import main
from fpk.fokker_planck.product._lines import march


def test_a_second_process_compiles_and_ends_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_ahead, "_compiled", lambda: False)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with compile_ahead.compiling_ahead() as process:
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None


def test_nothing_is_started_where_it_is_compiled_or_with_one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_ahead, "_compiled", lambda: True)
    with compile_ahead.compiling_ahead() as process:
        assert process is None
    monkeypatch.setattr(compile_ahead, "_compiled", lambda: False)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with compile_ahead.compiling_ahead() as process:
        assert process is None


def test_nothing_is_started_where_numba_is_told_to_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpk.fokker_planck.product._lines.march", march.py_func)  # all that NUMBA_DISABLE_JIT=1 leaves
    assert compile_ahead._compiled()


@pytest.mark.parametrize(("jobs", "begun"), [("1", 1), ("2", 0)])
def test_workers_compile_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: str, begun: int) -> None:
    if jobs != "1" and importlib.util.find_spec("distributed") is None:
        pytest.skip("needs fpk[dask]")
    starts = []

    @contextlib.contextmanager
    def watched() -> Iterator[None]:
        starts.append(1)
        yield

    monkeypatch.setattr(compile_ahead, "compiling_ahead", watched)
    monkeypatch.setattr("fpk.command_line.run.MANY", 0)
    study = Path(fpk.__file__).parents[1] / "studies" / "examples" / "own_study.py"
    places = ["--store", str(tmp_path / "store"), "--report", str(tmp_path / "report")]
    done = CliRunner().invoke(main, ["run", str(study), "--quick", "-j", jobs, *places])
    assert done.exit_code == 0, done.output
    assert len(starts) == begun


def test_every_loop_is_compiled_by_it_and_that_is_seen() -> None:
    compile_ahead.compile_loops()
    assert march.signatures
    assert compile_ahead._compiled()
