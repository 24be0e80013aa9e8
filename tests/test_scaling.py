"""Scaling out: the same bits however many workers there are, wherever they are, and refusals and stalls that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fpk
from fpk import runner
from fpk.catalogue import load_catalogue
from fpk.cluster import clients, handing, places, watch
from fpk.cluster.places import (
    Place,
    check_scheduler,
    check_workers,
    differing,
    differing_code,
    placed,
    sent_code,
    versions,
)
from fpk.cluster.watch import Watch, stall
from fpk.errors import ClusterError, ProblemError, StoreError
from fpk.marginals import Estimate, panel_between
from fpk.panels import Panel
from fpk.particles import blocks
from fpk.particles.blocks import BLOCK, BlockedMarginals, simulate_in_blocks
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.mapping import OVER
from fpk.runner import Done, run
from fpk.store import Store
from fpk.study import Size
from fpk.tasks import Task, tasks_of

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs fpk[dask]")
dask_leaves_sockets = pytest.mark.filterwarnings("ignore::ResourceWarning")
pytestmark = pytest.mark.usefixtures("sockets")


BLOCKY = """
import numpy as np

import fpk
from fpk.particles.blocks import simulate_in_blocks
from fpk.study import Claim, evidence, study
from fpk.verdict import Outcome

CLAIMS = (Claim("big", "equality", "", "", "", {"stated": Outcome.CONFIRMED, "g² + 50 %": Outcome.REFUTED}),)


@study("big", variants={"stated": 1.0, "g² + 50 %": 1.5**0.5})
def big(variant, case, size, seed):
    problem = fpk.Problem("-x", variant, initial=fpk.Gaussian(1.0, 0.5))
    exact = fpk.exact(fpk.Problem("-x", 1.0, initial=fpk.Gaussian(1.0, 0.5)), times=[1.0])
    return evidence(simulate_in_blocks(problem, particles=150_000, steps=8, times=[1.0], seed=seed), exact)
"""


def tasks_in(path: Path) -> list[Task]:
    catalogue = load_catalogue(path)
    return tasks_of(catalogue, catalogue.studies, size=Size("quick"), root_seed=0)


def stored(store: Store) -> dict[str, dict[str, bytes]]:
    """Everything in the records of a store but the time and the place they took."""
    found = {}
    for key in store.keys():  # noqa: SIM118
        with np.load(store.path(key)) as archive:
            found[key] = {name: archive[name].tobytes() for name in archive.files if name != "head"}
    return found


# -- ensembles in blocks ----------------------------------------------------------------------------------------------------

SPRING = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
TIMES = [0.5, 1.0]


def ensemble(particles: int, **options: Any) -> BlockedMarginals:
    given: dict[str, Any] = {"steps": 6, "times": TIMES, "seed": 5} | options
    return simulate_in_blocks(SPRING, particles=particles, **given)


def panel() -> Panel:
    exact = fpk.exact(SPRING, times=TIMES)
    return panel_between(exact, exact)


def bits(estimate: Estimate) -> dict[str, Any]:
    return {name: v.tobytes() if isinstance(v, np.ndarray) else v for name, v in vars(estimate).items()}


def scattered(count: int) -> Callable[..., list[Any]]:
    """Every block by one of so many threads, the last block first: what workers of different speed do."""

    def over(function: Callable[..., Any], items: Any) -> list[Any]:
        items = list(items)
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(function, items[::-1]))[::-1]

    return over


@pytest.mark.parametrize("particles", [BLOCK - 1, 3 * BLOCK + 12_345, 2 * BLOCK + BLOCK // 2 + 1])
def test_an_ensemble_in_blocks_has_the_same_bits_whoever_computes_them(particles: int) -> None:
    alone = bits(ensemble(particles).expect(panel()))
    assert all(bits(ensemble(particles, over=scattered(count)).expect(panel())) == alone for count in (1, 2, 3))


@pytest.mark.parametrize(
    "options",
    [{}, {"levels": 1}, {"antithetic": True}, {"scheme": ExactTransition()}],
    ids=["two levels", "one level", "antithetic", "exact steps"],
)
def test_an_ensemble_in_blocks_is_that_of_simulate_up_to_the_order_of_summation(options: dict[str, Any]) -> None:
    particles = 2 * BLOCK + 30_000
    found = ensemble(particles, **options).expect(panel())
    known = fpk.simulate(SPRING, particles=particles, steps=6, times=TIMES, seed=5, **options).expect(panel())
    scale = 1e-12
    assert np.array_equal(found.thresholds, known.thresholds), "counts are exact"
    for name in ("value", "covariance", "bias_bound", "threshold_bound", "step_bias"):
        one, other = getattr(found, name), getattr(known, name)
        assert np.array_equal(np.isinf(one), np.isinf(other))
        assert np.allclose(one, other, rtol=scale, atol=scale * 1e-3), name
    for name in ("samples", "averaged", "scheme", "source"):
        assert getattr(found, name) == getattr(known, name), name
    assert found.block_means is not None
    assert 32 <= len(found.block_means) <= 256
    assert np.allclose(found.block_means.mean(0), found.value, atol=0.01)
    assert (found.coarse_block_means is None) == (known.coarse_block_means is None)


def test_blocks_cover_every_particle_once_and_do_not_depend_on_anything_else() -> None:
    for particles in (2, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + BLOCK // 2, BLOCK + BLOCK // 2 + 1, 10 * BLOCK + 7):
        found = blocks._blocks(particles)
        assert [begin for begin, _ in found] == [k * BLOCK for k in range(len(found))]
        assert sum(count for _, count in found) == particles
        assert min(count for _, count in found) >= min(particles, BLOCK // 2)


def test_two_ensembles_in_blocks_on_the_same_noise_are_compared_coupled() -> None:
    noisier = fpk.Problem("-x", "sqrt(2.02)", initial=fpk.Gaussian(1.0, 0.3))
    other = simulate_in_blocks(noisier, particles=200_000, steps=6, times=TIMES, seed=5, levels=1)
    verdict = fpk.compare(ensemble(200_000, levels=1), other, tolerance=0.1, panel=panel())
    assert "coupled" in str(verdict)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"particles": 1}, "2 or more"),
        ({"particles": 99_999, "antithetic": True}, "in pairs"),
        ({"particles": 10, "seed": np.random.default_rng(0)}, "integer"),
    ],
)
def test_ensembles_that_cannot_be_cut_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        simulate_in_blocks(SPRING, times=[1.0], steps=4, **given)


@needs_dask
@dask_leaves_sockets
def test_one_study_of_a_large_ensemble_has_the_same_bits_on_one_two_and_three_workers(tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    path = tmp_path / "blocky.py"
    path.write_text(BLOCKY)
    tasks = tasks_in(path)
    serial = Store(tmp_path / "serial")
    assert [d.error for d in run(tasks, serial)] == ["", ""]
    here: dict[str, Any] = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=1, **here, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}) as cluster:
        for count in (1, 2, 3):
            cluster.scale(count)
            with Client(cluster) as client:
                client.wait_for_workers(count, timeout=60)
                shared = Store(tmp_path / f"by {count}")
                assert [d.error for d in run(tasks, shared, scheduler=cluster.scheduler_address)] == ["", ""]
                assert stored(shared) == stored(serial)
                parts = client.run(_parts)
                assert sum(parts.values()) == 2 * 2, "two tasks of two blocks"
                client.run(_forget)
        with Client(cluster) as client:
            client.run(clients._silent)


def _parts(dask_worker: Any) -> int:
    """How many parts of tasks a worker has computed."""
    return len(
        {
            entry[0]
            for entry in dask_worker.state.log
            if "executing" in entry and str(entry[0][0]).startswith("fpk-part")
        }
    )


def _forget(dask_worker: Any) -> None:
    dask_worker.state.log.clear()


def test_blocks_are_computed_here_unless_a_run_says_otherwise() -> None:
    asked: list[int] = []

    def counting(function: Callable[..., Any], items: Any) -> list[Any]:
        items = list(items)
        asked.append(len(items))
        return [function(item) for item in items]

    before = OVER.set(counting)
    try:
        shared = bits(ensemble(2 * BLOCK, levels=1).expect(panel()))
    finally:
        OVER.reset(before)
    assert asked == [2]
    assert bits(ensemble(2 * BLOCK, levels=1).expect(panel())) == shared
    assert asked == [2]


# -- a cluster by address ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Dask cluster without workers in threads of this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=0, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "PATIENCE", 0.05)


def errors(found: Iterator[Done]) -> list[str]:
    return [done.error for done in found]


@needs_dask
@dask_leaves_sockets
def test_a_run_by_address_says_at_once_that_it_waits_for_workers_and_goes_on(
    tiny: Path, tmp_path: Path, cluster: Any
) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        assert not cluster.scheduler.tasks, "before anything is handed out, not when patience is over"
        cluster.scale(2)

    remote, serial = Store(tmp_path / "remote"), Store(tmp_path / "serial")
    tasks = tasks_in(tiny)
    assert errors(run(tasks, remote, scheduler=cluster.scheduler_address, say=say)) == [""] * 3
    assert said[0].startswith("3 tasks wait and no worker is connected. Start one: dask worker ")
    assert errors(run(tasks, serial)) == [""] * 3
    assert stored(remote) == stored(serial)
    assert [path.name for path in remote.root.iterdir() if path.is_file()] == [], "the token is gone"


@needs_dask
@dask_leaves_sockets
def test_a_run_by_scheduler_file(tiny: Path, tmp_path: Path, cluster: Any) -> None:
    from distributed import Client

    cluster.scale(1)
    with Client(cluster) as client:
        client.wait_for_workers(1)
        client.write_scheduler_file(str(tmp_path / "scheduler.json"))
    found = errors(run(tasks_in(tiny), Store(tmp_path / ".fpk"), scheduler_file=tmp_path / "scheduler.json"))
    assert found == [""] * 3


@needs_dask
@dask_leaves_sockets
def test_workers_with_several_threads_are_refused_before_anything_is_computed(tiny: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    here: dict[str, Any] = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": None}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, **here) as made,
        pytest.raises(
            ClusterError, match=r"1 of 1 workers would not compute the same:\n  2 threads in one worker.*--nthreads 1"
        ),
    ):
        list(run(tasks_in(tiny), Store(tmp_path / ".fpk"), scheduler=made.scheduler_address))
    assert not tiny.with_name("calls.log").exists()


@needs_dask
@dask_leaves_sockets
@pytest.mark.usefixtures("impatient")
def test_a_worker_that_comes_late_with_other_code_computes_nothing(
    tiny: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tasks_in(tiny)

    def say(text: str) -> None:
        tiny.write_text(tiny.read_text().replace("1.0 + 1.0", "1.0 + 1.5"))  # edited between the sending and the coming
        monkeypatch.setattr(places, "code_of", lambda study: {"files": {"tiny.py": "other"}})
        cluster.scale(1)

    found = errors(run(tasks, Store(tmp_path / ".fpk"), scheduler=cluster.scheduler_address, say=say))
    assert len(found) == 3
    assert all("would not compute the same: the study file tiny.py differs" in text for text in found)
    assert not tiny.with_name("calls.log").exists()


@needs_dask
def test_a_scheduler_that_is_not_there_is_told_with_what_to_do(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "ANSWER", 0.3)
    tasks, store = tasks_in(tiny), Store(tmp_path / ".fpk")
    with pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9 .*dask scheduler"):
        list(run(tasks, store, scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(
        ClusterError, match=r"gone\.json does not exist: start a scheduler with dask scheduler --scheduler-file"
    ):
        list(run(tasks, store, scheduler_file=tmp_path / "gone.json"))
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(ClusterError, match=r"empty\.json names no scheduler \(KeyError"):
        list(run(tasks, store, scheduler_file=tmp_path / "empty.json"))
    with pytest.raises(ProblemError, match="give one of them"):
        list(run(tasks, store, scheduler="tcp://127.0.0.1:9", scheduler_file=tmp_path / "gone.json"))


@needs_dask
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tls://127.0.0.1:8786", r"tls://127\.0\.0\.1:8786 asks for certificates, and none are set here: name those .*TLS__CA_FILE.*CLIENT__KEY"),
        ("http://127.0.0.1:8786", r"Dask cannot call http://127\.0\.0\.1:8786 \(ValueError: unknown address scheme 'http'"),
        *((text, rf"{re.escape(repr(text))} is no address of a scheduler: give protocol, host and port, such as tcp://")
          for text in ("", "foo", "tcp://", "tcp://:8786", "tcp://a", "tcp://a:", "tcp://a:b", "tcp://a:0", "tcp://a:99999", "tcp://a b:1", "tcp://\x00:1")),
    ],
)  # fmt: skip
def test_what_is_no_address_is_told_before_anybody_is_called(
    tiny: Path, tmp_path: Path, address: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClusterError, match=said):
        list(run(tasks_in(tiny), Store(tmp_path / ".fpk"), scheduler=address))
    (tmp_path / "scheduler.json").write_text(json.dumps({"address": address}))
    with pytest.raises(ClusterError, match=r"scheduler\.json"):
        list(run(tasks_in(tiny), Store(tmp_path / ".fpk"), scheduler_file=tmp_path / "scheduler.json"))
    gc.collect()
    assert capfd.readouterr().err == "", "a client that is given up complains when it is collected"


@needs_dask
def test_encryption_that_is_required_and_certificates_that_are_missing_are_told(tiny: Path, tmp_path: Path) -> None:
    import dask
    import distributed  # noqa: F401 # its settings

    tasks, store = tasks_in(tiny), Store(tmp_path / ".fpk")
    required = {"distributed.comm.require-encryption": True}
    gone = {f"distributed.comm.tls.{name}": "gone.pem" for name in ("ca-file", "client.cert", "client.key")}
    for settings, address, said in (
        (required, "tcp://a:1", r"require encryption .*tcp://a:1 has none: give a tls:// address"),
        (gone, "tls://a:1", r"cannot call tls://a:1 \(FileNotFoundError.* certificates that can be read"),
    ):
        with dask.config.set(settings), pytest.raises(ClusterError, match=said):  # type: ignore[attr-defined]
            list(run(tasks, store, scheduler=address))


@needs_dask
@dask_leaves_sockets
@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n"], ids=["silent", "something else"])
def test_somebody_who_is_no_scheduler_is_not_waited_for(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    """Such as a forwarded port behind which nothing runs, or a scheduler that hangs."""
    monkeypatch.setattr(clients, "ANSWER", 0.5)
    calls: list[socket.socket] = []

    def answering() -> None:
        with contextlib.suppress(OSError):  # closed, below
            while True:
                calls.append(listening.accept()[0])
                calls[-1].sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answering)
        thread.start()
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"no scheduler answers at {address} .*dask scheduler"):
            list(run(tasks_in(tiny), Store(tmp_path / ".fpk"), scheduler=address))
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert calls
    for call in calls:
        call.close()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"address": null}'],
    ids=["a folder", "empty", "torn", "a list", "a number", "no text", "deep", "no address"],
)
@needs_dask
def test_a_file_that_names_no_scheduler_is_told(tiny: Path, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "scheduler.json"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(ClusterError, match=r"scheduler\.json"):
        list(run(tasks_in(tiny), Store(tmp_path / ".fpk"), scheduler_file=file))


def test_a_scheduler_that_cannot_read_tasks_is_told_before_they_are_sent(tiny: Path) -> None:
    async def lacking(function: Any, *given: Any) -> None:
        raise ModuleNotFoundError("No module named 'fpk'")

    scheduler = SimpleNamespace(address="tcp://a:1")
    with (
        looping(run_on_scheduler=lacking, scheduler=scheduler) as client,
        pytest.raises(ClusterError, match=r"tcp://a:1 cannot read .*No module named 'fpk'.* same environment as its"),
    ):
        check_scheduler(client, tasks_in(tiny)[0], pytest.fail)


@contextlib.contextmanager
def looping(**methods: Any) -> Iterator[Any]:
    """A client with these coroutines for methods."""
    with asyncio.Runner() as runner:
        at_once = SimpleNamespace(add_callback=lambda call: call())
        yield SimpleNamespace(sync=lambda f, *a, **k: runner.run(f(*a, **k)), loop=at_once, **methods)


@needs_dask
@pytest.mark.parametrize("cause", [OSError("no more processes"), KeyError("Invalid time unit: foo")])
def test_workers_that_cannot_be_started_are_told_with_the_first_cause(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    """The second is what Dask makes of a setting that it cannot read."""
    import distributed

    def failing(**options: Any) -> None:
        try:
            raise RuntimeError("Nanny failed to start.") from cause
        except RuntimeError as error:
            raise RuntimeError("Cluster failed to start") from error

    monkeypatch.setattr(distributed, "LocalCluster", failing)
    said = rf"2 worker processes could not be started \({type(cause).__name__}: .*{cause.args[0]}.*smaller -j"
    with pytest.raises(ClusterError, match=said):
        list(run(tasks_in(tiny), Store(tmp_path / ".fpk"), jobs=2))


def test_what_is_stored_needs_no_workers(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, store = tasks_in(tiny), Store(tmp_path / ".fpk")
    list(run(tasks, store))
    monkeypatch.setattr(runner, "connected", lambda *given: pytest.fail("a cluster was started"))
    assert errors(run(tasks, store, jobs=2)) == [""] * 3


# -- the same place ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with placed(tmp_path / ".fpk") as made:
        yield made


def test_a_worker_in_the_same_place_differs_in_nothing(place: Place, tiny: Path) -> None:
    assert differing(place, 1) == ()
    task = tasks_in(tiny)[0]
    assert differing_code(task.studies, task.claim, sent_code(task)) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"versions": versions() | {"numpy": "1.0"}}, rf"numpy is {np.__version__}, here 1\.0"),
        ({"engine": "other"}, r"the code of fpk differs \(there in .*fpk\)"),
        ({"root": "/nowhere/.fpk"}, r"the store /nowhere/\.fpk is not seen there"),
        ({"token": "run-of another store"}, r"the store .* is not seen there"),
    ],
)
def test_what_differs_is_named(place: Place, change: dict[str, Any], said: str) -> None:
    given = {name: json.dumps(value) if name == "versions" else value for name, value in change.items()}
    (found,) = differing(replace(place, **given), 1)
    assert re.fullmatch(said, found), found


def test_studies_that_are_not_there_or_differ_are_named(tiny: Path) -> None:
    task = tasks_in(tiny)[0]
    assert differing_code("/nowhere/studies", task.claim, sent_code(task)) == (
        "the studies /nowhere/studies are not there",
    )
    other = sent_code(replace(task, inputs={"files": {"tiny.py": "0", "gone.py": "1"}}))
    assert differing_code(task.studies, task.claim, other) == (
        "the study file gone.py differs",
        "the study file tiny.py differs",
    )
    assert "cannot be imported there" in differing_code(task.studies, "no.such.claim", sent_code(task))[0]


def test_a_refusal_groups_workers_by_what_differs(place: Place) -> None:
    answers = {f"tcp://{k}": ("numpy is 1, here 2",) for k in range(5)} | {
        "tcp://9": ModuleNotFoundError("No module named 'fpk'"),
        "tcp://8": (),
    }

    async def told(*args: Any, **options: Any) -> Any:
        return answers | {"tcp://7": OSError("Timed out")}

    there = {"workers": dict.fromkeys(answers, RUNNING)}  # one has gone meanwhile, and needs not be like the others
    with looping(run=told, scheduler_info=lambda n_workers: there) as client, pytest.raises(ClusterError) as refused:
        check_workers(client, place, [], pytest.fail)
    assert str(refused.value).splitlines()[:3] == [
        "6 of 7 workers would not compute the same:",
        "  numpy is 1, here 2 (tcp://0, tcp://1, tcp://2 and 2 more)",
        "  No module named 'fpk' (tcp://9)",
    ]


@needs_dask
@dask_leaves_sockets
@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("introduced", "no answer yet from 1 of 1 workers (tcp://"),
        ("_received", "the scheduler tcp://"),
    ],
)
def test_who_does_not_answer_is_told_once_and_waited_for(
    tiny: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch, question: str, said: str
) -> None:
    """Such as a process that is stopped: it answers when it has been told twice that nothing is new."""
    from distributed import Client

    ANSWERING.clear()
    cluster.scale(1)
    with Client(cluster) as client:
        client.wait_for_workers(1)
    waits: list[float] = []
    wait = asyncio.wait

    async def waiting(asked: Any, timeout: float) -> Any:
        waits.append(timeout)
        if len(waits) == 3:
            ANSWERING.set()
        return await wait(asked, timeout=60 if ANSWERING.is_set() else 0)

    monkeypatch.setattr(watch, "asyncio", SimpleNamespace(wait=waiting, ensure_future=asyncio.ensure_future))
    monkeypatch.setattr(places, "_last_seen", lambda client: dict.fromkeys(client.scheduler_info()["workers"], 1.0))
    monkeypatch.setattr(places, question, asked_in_vain)
    told: list[str] = []
    run_there = run(tasks_in(tiny), Store(tmp_path / ".fpk"), scheduler=cluster.scheduler_address, say=told.append)
    assert errors(run_there) == [""] * 3
    (only,) = told
    assert only.startswith(said)
    assert waits[:3] == [watch.PATIENCE] * 3


ANSWERING = threading.Event()


async def asked_in_vain(*given: Any, **more: Any) -> tuple[str, ...]:
    """Answers, once the test lets it."""
    assert await asyncio.to_thread(ANSWERING.wait, 10), "nobody was told that no answer comes"
    return ()


def test_a_scheduler_that_goes_away_while_workers_are_asked_is_told(place: Place) -> None:
    async def gone(*given: Any, **options: Any) -> None:
        raise OSError("Stream is closed")

    there = {"workers": {"tcp://1": RUNNING}}
    said = r"scheduler is gone.* \(Stream is closed\)\. The same command goes on"
    with looping(run=gone, scheduler_info=lambda n_workers: there) as client, pytest.raises(ClusterError, match=said):
        check_workers(client, place, [], pytest.fail)


def test_a_store_that_cannot_be_written_is_refused_before_workers_are_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"), placed(tmp_path / "file" / ".fpk"):
        pass


# -- the watch --------------------------------------------------------------------------------------------------------------

KEY = ("fpk-1", "S0.E12/stated/", "0123")
RUNNING = {"status": "running", "host": "node7", "last_seen": 1.0}


@pytest.mark.parametrize(
    ("workers", "processing", "silent", "said"),
    [
        ({}, {}, {}, "no worker is connected. Start one: dask worker"),
        ({"a": RUNNING}, {"a": [KEY]}, {}, ""),
        ({"a": RUNNING, "b": RUNNING}, {"a": [KEY], "b": [KEY]}, {"a": 90.0}, ""),
        ({"a": RUNNING}, {"a": [KEY]}, {"a": 90.0}, "no sign of life from a for 90 s, busy with S0.E12/stated/."),
        ({"a": RUNNING}, {"a": [KEY]}, {"a": 90.0}, "py-spy dump on node7"),
        ({"a": RUNNING | {"status": "paused"}}, {}, {}, "a is paused for lack of memory"),
        ({"a": RUNNING}, {"a": ["theirs"]}, {}, "1, busy with tasks of others: 1"),
        ({"a": RUNNING}, {}, {}, "1, all idle"),
    ],
)  # fmt: skip
def test_a_stall_is_told_from_patience(workers: Any, processing: Any, silent: dict[str, float], said: str) -> None:
    found = stall(workers, processing, {KEY}, silent)
    assert said in found
    assert bool(said) == bool(found)


def test_a_worker_is_silent_by_our_own_clock_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    worker = RUNNING | {"last_seen": 5e9}  # another machine's clock
    client = SimpleNamespace(
        scheduler_info=lambda n_workers: {"workers": {"a": worker}}, processing=lambda: {"a": [KEY]}
    )
    said: list[str] = []
    looking = Watch(client, said.append)
    for second in range(0, 200, 20):
        now[0] = float(second)
        if second <= 40:
            worker["last_seen"] += 20.0  # signs of life until then
        looking.look({KEY})
    assert len(said) == 1
    assert "no sign of life from a for 60 s" in said[0]


def test_a_scheduler_that_does_not_answer_is_told() -> None:
    def gone(n_workers: int) -> None:
        raise OSError("Connection refused")

    said: list[str] = []
    Watch(SimpleNamespace(scheduler_info=gone), said.append).look({KEY})
    assert "the scheduler does not answer (Connection refused)" in said[0]


@needs_dask
@dask_leaves_sockets
@pytest.mark.usefixtures("impatient")
def test_a_task_that_takes_long_is_no_stall(tiny: Path, tmp_path: Path, cluster: Any) -> None:
    """The watch looks more than ten times while one task computes, and says nothing."""
    looked: list[int] = []
    enough = threading.Event()
    real = Watch.look

    def look(self: Watch, waiting: Any) -> None:
        real(self, waiting)
        looked.append(len(waiting))
        if len(looked) > 10:
            enough.set()

    def compute(task: Task, root: str, fresh: bool) -> str:
        assert enough.wait(60)
        return runner.computed(task, root, fresh)

    from distributed import Client

    cluster.scale(1)
    with Client(cluster) as client:
        client.wait_for_workers(1)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "look", look)
        patch.setattr(runner, "computed", runner.computed)
        found = errors(_run_in_threads(tasks_in(tiny), tmp_path, cluster, compute, said))
    assert found == [""] * 3
    assert said == []


def _run_in_threads(tasks: list[Task], folder: Path, cluster: Any, compute: Any, said: list[str]) -> Iterator[Done]:
    """A run whose function the workers, threads of this process, find by its name."""
    global COMPUTE
    COMPUTE = compute
    return run(tasks, Store(folder / ".fpk"), scheduler=cluster.scheduler_address, compute=by_name, say=said.append)


COMPUTE: Any = None


def by_name(task: Task, root: str, fresh: bool) -> str:
    """Computes as the test that runs says."""
    return COMPUTE(task, root, fresh)


# -- handing out ------------------------------------------------------------------------------------------------------------


@needs_dask
@dask_leaves_sockets
def test_few_tasks_are_with_the_scheduler_at_a_time(
    tiny: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr(handing, "AHEAD", 4)
    many = [replace(task, case=f"{k}", key=f"{k:064d}") for k in range(10) for task in tasks_in(tiny)]
    with Client(cluster) as client:
        cluster.scale(1)
        client.wait_for_workers(1)
        sent: list[int] = []
        submit = client.map
        monkeypatch.setattr(
            client, "map", lambda f, tasks, **how: (sent.append(len(tasks)), submit(f, tasks, **how))[1]
        )
        found = []
        for task, future in handing._as_finished(client, many, _nothing, Watch(client, lambda text: None)):
            found.append(task.key)
            assert future.status == "finished"
            assert sum(sent) - len(found) <= 4
    assert sorted(found) == sorted(task.key for task in many)
    assert max(sent) <= 4


def _nothing(task: Task) -> None:
    return None


@needs_dask
@dask_leaves_sockets
def test_a_scheduler_that_goes_away_ends_the_run_with_what_to_do(tiny: Path, tmp_path: Path) -> None:
    future = SimpleNamespace(status="cancelled")
    with pytest.raises(ClusterError, match="What is finished is kept; the same command goes on"):
        handing._killed(future)
