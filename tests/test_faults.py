"""Faults: what dies, fills up or is damaged costs the work that was in flight and nothing else, and is said.

Every computation of the study below leaves a line in ``calls.log``, so that "nothing is computed twice" is a count.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpk.catalogue import load_catalogue
from fpk.cluster.clients import _uninterrupted
from fpk.runner import Done, run
from fpk.store import Store
from fpk.study import Size
from fpk.tasks import Task, tasks_of

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs fpk[dask]")
#: Longest wait for another process, in seconds: far more than it takes, so that only a deadlock reaches it.
DEADLINE = 120.0

MANY = '''"""Forty small records; files beside this one say what goes wrong."""

import os
import signal
import time
from pathlib import Path

import numpy as np

import fpk
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, study
from fpk.verdict import Outcome

CLAIMS = tuple(
    Claim(f"many.{k}", "identity", "", "", "", {"stated": Outcome.CONFIRMED, "wrong": Outcome.REFUTED}) for k in range(4)
)
HERE = Path(__file__).parent


def waited(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "nobody came"
        time.sleep(0.01)


def asked(name, check):
    """Whether the file of a fault names this check."""
    file = HERE / name
    return file.exists() and check in file.read_text().split()


def computed(k, variant, case, size, seed):
    check = f"{k}/{variant:g}/{case}"
    with (HERE / "calls.log").open("a") as log:
        log.write(f"{check} {os.getpid()}\\n")
    if asked("hold", check):
        waited(lambda: not asked("hold", check))
    if asked("together", check):
        waited(lambda: (HERE / "calls.log").read_text().count(f"{check} ") >= 2)
    if asked("exit", check):
        os._exit(9)
    if asked("raise", check):
        raise RuntimeError("the well is dry")
    noise = np.random.default_rng(seed).standard_normal(1500)
    curves = {"x": noise, "t": np.ones(1), "first": noise, "second": noise}
    return Evidence(fpk.residual(np.array([variant]), 1e-9), zero_estimate(1), ("r",), curves)


def register(k):
    @study(f"many.{k}", variants={"stated": 0.0, "wrong": 1.0}, cases=tuple("abcde"))
    def part(variant, case, size, seed):
        return computed(k, variant, case, size, seed)


for k in range(4):
    register(k)
'''
RECORDS = 40
#: Claim, variant and case of the first task, and how MANY names it.
FIRST, FIRST_CHECK = "0/0/a", "many.0/stated/a"


class Place:
    """A folder with the study, its log and its store, and ``fpk run`` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "many.py").write_text(MANY)
        self.store = Store(folder / ".fpk")
        self.started: list[subprocess.Popen[str]] = []

    def command(self, *options: str, first: str = "") -> list[str]:
        # What is started in the background, as tests may be, inherits that Ctrl-C is ignored.
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = f"{heard}\n{first}\nfrom fpk.command_line import main; main()"
        return [sys.executable, "-c", code, "run", "many.py", "--quick", "--report", "report", *options]

    def start(self, *options: str, first: str = "", **variables: str) -> subprocess.Popen[str]:
        how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        how |= {"cwd": self.folder, "env": os.environ | variables, "start_new_session": True}
        self.started.append(subprocess.Popen(self.command(*options, first=first), **how))
        return self.started[-1]

    def end(self) -> None:
        """Kill what a failed test has left."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options), cwd=self.folder, capture_output=True, text=True, timeout=2 * DEADLINE
        )

    def fault(self, name: str, *checks: str) -> None:
        (self.folder / name).write_text(" ".join(checks))

    def mend(self, name: str) -> None:
        (self.folder / name).unlink()

    def calls(self) -> Counter[str]:
        log = self.folder / "calls.log"
        return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()

    def process(self, check: str) -> int:
        """The process that computed a check last."""
        lines = (self.folder / "calls.log").read_text().splitlines()
        return next(int(line.split()[1]) for line in reversed(lines) if line.split()[0] == check)

    def tasks(self) -> list[Task]:
        catalogue = load_catalogue(self.folder / "many.py")
        return tasks_of(catalogue, catalogue.studies, size=Size("quick"), root_seed=0)

    def whole(self) -> list[str]:
        """Keys of all stored records; fails if one of them is torn."""
        keys = self.store.keys()
        assert not [key for key in keys if self.store.damaged(key)]
        return keys

    def verdicts(self) -> bytes:
        return (self.folder / "report" / "verdicts.json").read_bytes()

    def records(self) -> list[dict[str, Any]]:
        lines = (self.folder / "report" / "records.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k != "cost_seconds"} for line in lines]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "place")
    yield made
    made.end()


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One run from beginning to end, without workers and without faults: what every other run must come to."""
    place = Place(tmp_path_factory.mktemp("serial") / "place")
    done = place.run()
    assert done.returncode == 0, done.stderr
    assert len(place.whole()) == RECORDS == sum(place.calls().values())
    return place


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


def assert_same_bits(one: Store, other: Store) -> None:
    assert one.keys() == other.keys()
    for key in one.keys():  # noqa: SIM118
        with np.load(one.path(key)) as first, np.load(other.path(key)) as second:
            names = set(first.files) - {"head"}  # holds the time it took
            assert names == set(second.files) - {"head"}
            assert all(first[name].tobytes() == second[name].tobytes() for name in names)


def assert_same_report(one: Place, other: Place) -> None:
    assert one.verdicts() == other.verdicts()
    assert one.records() == other.records()


# -- workers that die -------------------------------------------------------------------------------------------------------


@needs_dask
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("sockets")
def test_a_worker_killed_in_the_middle_costs_one_computation_and_no_record(place: Place, serial: Place) -> None:
    place.fault("hold", FIRST)
    said: list[str] = []
    done: list[Done] = []
    for one in run(place.tasks(), place.store, jobs=2, say=said.append):
        done.append(one)
        if len(done) == RECORDS - 1:  # the other worker has done everything else
            until(lambda: FIRST in place.calls())
            victim = place.process(FIRST)
            place.mend("hold")
            os.kill(victim, signal.SIGKILL)
    assert [d.error for d in done] == [""] * RECORDS
    assert done[-1].task.check == FIRST_CHECK
    assert place.calls() == serial.calls() + Counter([FIRST])
    assert said == [
        "a worker process died; the task that was on it is computed again, one at a time, to see which of them does it"
    ]
    assert len(place.whole()) == RECORDS
    assert_same_bits(place.store, serial.store)


@needs_dask
def test_what_kills_its_worker_and_what_raises_are_named_and_nobody_else(place: Place, serial: Place) -> None:
    place.fault("exit", "1/0/c")
    place.fault("raise", "2/0/b")
    found = place.run("-j", "2")
    assert found.returncode == 4
    crashed = [line for line in found.stderr.splitlines() if "CRASHED" in line]
    assert [line.split(":")[0] for line in crashed] == ["✗ many.1 · stated · c", "✗ many.2 · stated · b"]
    assert "its worker process died, twice, the second time alone: many.1/stated/c" in found.stderr
    assert "RuntimeError: the well is dry (while computing many.2/stated/b in many.part, many.py line " in found.stderr
    assert f"{RECORDS - 2} of {RECORDS} records hold" in found.stderr
    assert "Traceback" not in found.stderr
    assert "distributed" not in found.stderr
    assert len(place.whole()) == RECORDS - 2
    place.mend("exit")
    place.mend("raise")
    before = place.calls()
    assert place.run().returncode == 0
    assert place.calls() - before == Counter(["1/0/c", "2/0/b"])
    assert_same_bits(place.store, serial.store)
    assert_same_report(place, serial)


# -- runs that die ----------------------------------------------------------------------------------------------------------


def alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@needs_dask
@pytest.mark.parametrize("whom", ["driver and workers", "driver"])
def test_a_run_that_is_killed_goes_on_where_it_was(place: Place, serial: Place, whom: str) -> None:
    held = ["0/1/a", "3/1/e"]
    place.fault("hold", *held)
    killed = place.start("-j", "2")
    try:
        until(lambda: bool(place.calls()[held[0]]) and len(place.store.keys()) >= RECORDS // 2)
        workers = {int(line.split()[1]) for line in (place.folder / "calls.log").read_text().splitlines()}
        assert len(workers) == 2
        if whom == "driver":
            killed.kill()
            until(lambda: not any(alive(process) for process in workers))
        else:
            os.killpg(killed.pid, signal.SIGKILL)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()
    until(lambda: not any(alive(process) for process in workers))
    stored, begun = set(place.whole()), place.calls()
    in_flight = sum(begun.values()) - len(stored)
    assert 1 <= in_flight <= 2, "at most what was on a worker is lost"
    place.mend("hold")
    assert place.run().returncode == 0
    again = place.calls() - begun
    assert sum(again.values()) == RECORDS - len(stored)
    assert max(again.values()) == 1
    assert set(place.whole()) >= stored
    assert_same_bits(place.store, serial.store)
    assert_same_report(place, serial)


STAGES = ("compute", "open", "fdatasync" if hasattr(os, "fdatasync") else "fsync", "replace")
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from fpk.catalogue import load_catalogue
from fpk.runner import run
from fpk.store import Store
from fpk.study import Size
from fpk.tasks import tasks_of

def dying(real, nth, counts=lambda *args: True):
    seen = []
    def call(*args, **kwargs):
        if counts(*args):
            seen.append(1)
            if len(seen) == nth:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call

stage, nth = sys.argv[1], int(sys.argv[2])
catalogue = load_catalogue(Path("many.py"))
if stage == "compute":
    module = sys.modules[catalogue.studies[0].module]
    module.computed = dying(module.computed, nth)
elif stage == "open":
    Path.open = dying(Path.open, nth, lambda path, mode="r", *rest: path.suffix == ".part")
else:
    setattr(os, stage, dying(getattr(os, stage), nth))
list(run(tasks_of(catalogue, catalogue.studies, size=Size("quick"), root_seed=0), Store(Path(".fpk"))))
"""


def test_a_run_killed_at_every_stage_of_a_record_comes_to_the_same(place: Place, serial: Place) -> None:
    """Before and while it is computed, before its file is written, flushed, and moved to its place."""
    before = 0
    for stage in STAGES:
        died = subprocess.run([sys.executable, "-c", KILLED_AT, stage, "4"], cwd=place.folder, timeout=DEADLINE)
        assert died.returncode == -signal.SIGKILL
        assert len(place.whole()) == before + 3, f"three records, then killed at {stage}"
        before += 3
    assert (
        sum(place.calls().values()) == before + len(STAGES) - 1
    )  # killed before the first line is written, the first time
    assert place.run().returncode == 0
    assert sum(place.calls().values()) == RECORDS + len(STAGES) - 1
    assert_same_bits(place.store, serial.store)
    assert_same_report(place, serial)


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=needs_dask)])
def test_an_interrupted_run_says_how_many_are_kept_and_nothing_else(place: Place, jobs: str) -> None:
    """Ctrl-C on a terminal goes to every process of the run."""
    place.fault("hold", "1/0/a", "1/1/a")
    stopped = place.start("-j", jobs)
    until(lambda: bool(place.calls()["1/0/a"] if jobs == "1" else place.calls()["1/1/a"]))
    os.killpg(stopped.pid, signal.SIGINT)
    _, told = stopped.communicate(timeout=DEADLINE)
    assert stopped.returncode == 130
    said = re.search(rf"interrupted after (\d+) of {RECORDS}; they are kept, the same command goes on\.", told)
    assert said, told
    unheard = len(place.whole()) - int(said[1])
    assert unheard == 0 if jobs == "1" else unheard >= 0, "workers may have stored what was not heard of yet"
    assert len(told.strip().splitlines()) == 1, told


#: In each worker process: it says that it begins, and goes on when all of them have been interrupted.
BEGINNING = """
import os, sys, time
from pathlib import Path
here = Path(__file__).parent
if "--multiprocessing-fork" in sys.orig_argv:
    (here / f"began-{os.getpid()}").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
"""


@needs_dask
def test_an_interrupt_while_workers_begin_is_one_line_and_leaves_nobody_behind(place: Place) -> None:
    (place.folder / "sitecustomize.py").write_text(BEGINNING)
    path = os.pathsep.join([str(place.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    stopped = place.start("-j", "2", PYTHONPATH=path)
    until(lambda: len(list(place.folder.glob("began-*"))) == 2)
    os.killpg(stopped.pid, signal.SIGINT)
    (place.folder / "go").touch()
    assert_interrupted(stopped, rf"fpk: interrupted after 0 of {RECORDS}; they are kept, the same command goes on\.")


#: Before the call of a function that is so many times counted, the whole process group is interrupted.
INTERRUPTED_BEFORE = """
import os, signal
def interrupting(real, nth, counts=lambda *args: True):
    seen = []
    def call(*args, **kwargs):
        if counts(*args):
            seen.append(1)
            if len(seen) == nth:
                os.killpg(0, signal.SIGINT)
        return real(*args, **kwargs)
    return call
"""
CLOSING = "import distributed.deploy.cluster as c; c.Cluster.close = interrupting(c.Cluster.close, 1)"
WRITING = "os.replace = interrupting(os.replace, {}, lambda old, new: 'report' in str(new))"


@needs_dask
def test_an_impatient_second_interrupt_changes_nothing(place: Place) -> None:
    """Ctrl-C, and again while the workers are being closed."""
    place.fault("hold", "1/0/a", "1/1/a")
    stopped = place.start("-j", "2", first=f"{INTERRUPTED_BEFORE}\n{CLOSING}")
    until(lambda: bool(place.calls()["1/1/a"]))
    os.killpg(stopped.pid, signal.SIGINT)
    assert_interrupted(stopped, rf"fpk: interrupted after \d+ of {RECORDS}; they are kept, the same command goes on\.")
    assert place.whole()


def test_an_interrupt_that_another_thread_hears_is_put_off() -> None:
    """Such as the one that draws a progress bar: Python interrupts the main thread, whoever hears."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    over, reached = threading.Event(), []
    drawing = threading.Thread(target=over.wait)
    drawing.start()
    try:
        with heard() as hearing, pytest.raises(KeyboardInterrupt):  # noqa: PT012
            with _uninterrupted():
                os.kill(os.getpid(), signal.SIGINT)
                hearing()
                reached.append("the end")
            reached.append("after it")
        assert reached == ["the end"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        over.set()
        drawing.join()
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def heard() -> Iterator[Callable[[], Any]]:
    """Waits until any thread has taken a signal."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        ours.settimeout(DEADLINE)
        before = signal.set_wakeup_fd(theirs.fileno())
        try:
            yield lambda: ours.recv(1)
        finally:
            signal.set_wakeup_fd(before)


@pytest.mark.parametrize("nth", [1, 2, 4])
def test_an_interrupt_while_the_report_is_written_keeps_everything(place: Place, serial: Place, nth: int) -> None:
    shutil.copytree(serial.store.root, place.store.root)
    stopped = place.start(first=f"{INTERRUPTED_BEFORE}\n{WRITING.format(nth)}")
    stored = rf"fpk: {RECORDS} of {RECORDS} records came from the store\n\n"
    assert_interrupted(stopped, rf"{stored}fpk: interrupted; what was finished is kept, the same command goes on\.")
    assert len(place.whole()) == RECORDS
    assert not list(place.folder.rglob("*.part"))
    assert place.run().returncode == 0
    assert not place.calls()
    assert_same_report(place, serial)


def assert_interrupted(stopped: subprocess.Popen[str], line: str) -> None:
    """That a run ends as after Ctrl-C: one line, no result, and no process of its session left."""
    out, told = stopped.communicate(timeout=DEADLINE)
    assert stopped.returncode == 130, told
    assert re.fullmatch(line, told.strip()), told
    assert out == ""
    until(lambda: not session_of(stopped.pid))  # what tidies up after a process ends a moment after it


def session_of(leader: int) -> list[int]:
    """The living processes of a session; on systems that do not tell, none."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session = file.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(file.parent.name))
    return found


# -- disks that fill up, files that are damaged -----------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """A real file system of 128 KiB; what it yields sets another size."""
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system can be mounted by the superuser only")
    try:
        yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@needs_dask
@pytest.mark.skipif(os.geteuid() != 0, reason="a file system can be mounted by the superuser only")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(place: Place, serial: Place, jobs: str) -> None:
    disk = place.folder / "disk"
    with small_disk(disk) as resize:
        full = place.run("-j", jobs, "--store", "disk/.fpk")
        assert full.returncode == 2, full.stderr
        assert full.stderr.count("No space left on device") == 1, "the run stops; not every task fails by itself"
        assert not (place.folder / "report").exists()
        assert "Free some space" in full.stderr
        assert "Traceback" not in full.stderr
        place.store = Store(disk / ".fpk")
        kept = place.whole()
        assert 0 < len(kept) < RECORDS
        begun = place.calls()
        resize("8m")
        assert place.run("--store", "disk/.fpk").returncode == 0
        assert sum((place.calls() - begun).values()) == RECORDS - len(kept)
        assert_same_bits(place.store, serial.store)
        assert_same_report(place, serial)


def test_a_file_that_may_not_grow_stops_the_run_and_leaves_no_part(place: Place) -> None:
    """The same as a full disk, for those who may not mount one."""
    limited = ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash", *place.command()]
    full = subprocess.run(limited, cwd=place.folder, capture_output=True, text=True, timeout=DEADLINE)
    assert full.returncode == 2, full.stderr
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert place.whole() == []
    assert not list(place.folder.rglob("*.part"))


def test_damaged_records_are_said_and_computed_again(place: Place, serial: Place) -> None:
    shutil.copytree(serial.store.root, place.store.root)
    tasks = place.tasks()
    whole = place.store.path(tasks[7].key).read_bytes()
    middle = len(whole) // 2
    harm = {
        tasks[3]: whole[:-200],  # another record, and a torn one
        tasks[7]: whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        tasks[11]: b"",
        tasks[20]: place.store.path(tasks[21].key).read_bytes(),
    }
    for task, data in harm.items():
        place.store.path(task.key).write_bytes(data)
    again = place.run()
    assert again.returncode == 0
    said = [line for line in again.stderr.splitlines() if "is damaged and is computed again" in line]
    assert [line.split()[5] for line in said] == [task.check for task in harm]
    assert sum(place.calls().values()) == len(harm)
    assert_same_bits(place.store, serial.store)
    assert_same_report(place, serial)


# -- company ----------------------------------------------------------------------------------------------------------------


def test_two_runs_at_once_on_one_store_come_to_the_same(place: Place, serial: Place) -> None:
    place.fault("together", FIRST, "2/1/c")  # neither goes on before both are there
    runs: Sequence[subprocess.Popen[str]] = [place.start(), place.start("--report", "other")]
    told = [one.communicate(timeout=DEADLINE)[1] for one in runs]
    assert [one.returncode for one in runs] == [0, 0], told
    assert max(place.calls().values()) <= 2
    assert len(place.whole()) == RECORDS
    assert not list(place.store.root.rglob("*.part"))
    assert_same_bits(place.store, serial.store)
    assert_same_report(place, serial)
    assert (place.folder / "other" / "verdicts.json").read_bytes() == serial.verdicts()


# -- names ------------------------------------------------------------------------------------------------------------------

HOSTILE = '''"""A study whose every name and text is chosen by an enemy."""

import numpy as np

import fpk
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, study
from fpk.verdict import Outcome

SCRIPT = "<script>document.title='gone'</script>"
NAMES = (
    "../../escape", "/etc/escape", SCRIPT, "x" * 5000, "a\\\\..\\\\b\\n\\r\\x00c", "$(touch escape)`touch escape`", "con", "-j", "\\u202egnp.exe",
)
CLAIMS = tuple(
    Claim(name, "identity", SCRIPT, SCRIPT, SCRIPT, {"stated": Outcome.CONFIRMED, name: Outcome.REFUTED}, {name: SCRIPT})
    for name in NAMES
)


def register(name):
    def part(variant, case, size, seed):
        return Evidence(fpk.residual(np.array([variant]), 1e-9, source=name + SCRIPT), zero_estimate(1), (name + SCRIPT,))

    part.__name__ = name
    study(name, variants={"stated": 0.0, name: 1.0}, cases=(name,))(part)


for name in NAMES:
    register(name)
'''
HOSTILE_NAMES = 9


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=needs_dask)])
def test_hostile_names_are_stored_and_shown_and_do_nothing(tmp_path: Path, jobs: str) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    place = Place(inner)
    (inner / "many.py").write_text(HOSTILE)
    found = place.run("-j", jobs)
    assert found.returncode == 0, found.stderr[-2000:]
    assert f"{2 * HOSTILE_NAMES} of {2 * HOSTILE_NAMES} records hold" in found.stderr
    assert len(place.whole()) == 2 * HOSTILE_NAMES
    written = files_below(tmp_path)
    homes = {path.parts[2] if len(path.parts) > 2 else path for path in written}
    assert homes == {"many.py", ".fpk", "report"}, "nothing is written elsewhere"
    assert all(len(part) < 100 for path in written for part in path.parts)
    for page in (inner / "report").rglob("*.html"):
        assert "<script" not in page.read_text().lower()
    again = place.run("-j", jobs)
    assert again.returncode == 0
    assert files_below(tmp_path) == written
