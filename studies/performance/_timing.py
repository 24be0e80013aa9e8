"""Times: medians of interleaved pairs with their spread, and the search for a route's cheapest setting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fpk
from fpk.errors import ComparisonError
from fpk.laws import Array

from ._baselines import Route
from ._tasks import AnyTask

#: Standard error of a median, in units of the median absolute deviation over √n, for normal noise.
MEDIAN_ERROR = 1.4826 * (np.pi / 2) ** 0.5
#: The clocks :func:`clocked` reads.
CPU, WALL = 0, 1
#: CPU seconds a timed batch takes at least: well above the clock's resolution. And what is so slow that two calls are enough.
BATCH, SLOW = 2e-3, 0.05

Call = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """A setting of a route, its L1 error and its time for one call."""

    route: str
    cells: int
    effort: int
    error: float
    seconds: float
    wall: float

    @property
    def row(self) -> tuple[float, ...]:
        """Numbers of a table: cells, effort, error, CPU and wall seconds."""
        return self.cells, self.effort, self.error, self.seconds, self.wall


def clocked(call: Call, count: int) -> tuple[float, float]:
    """CPU and wall seconds of one of ``count`` calls."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - cpu) / count, (time.perf_counter() - wall) / count


def batch_of(call: Call) -> int:
    """How many calls fill a batch; the first call, which may compile, does not count."""
    call()
    slow = clocked(call, 1)[0] > BATCH
    return 1 if slow else max(1, int(BATCH / max(clocked(call, 5)[0], 1e-6)))


def timed(call: Call, *, repeats: int = 5) -> tuple[float, float]:
    """Median CPU and wall seconds of a warm call."""
    count = batch_of(call)
    seconds = np.median([clocked(call, count) for _ in range(repeats)], axis=0)
    return float(seconds[0]), float(seconds[1])


def paired(slow: Call, fast: Call, *, pairs: int, clock: int = CPU) -> Array:
    """Logarithms of the time of ``slow`` over that of ``fast``, shape (pairs,): one after the other, who is first taking turns.

    CPU time, or wall-clock for what runs in several threads.
    """
    counts = {slow: batch_of(slow), fast: batch_of(fast)}
    ratios = []
    for k in range(pairs):
        order = (slow, fast) if k % 2 else (fast, slow)
        seconds = {call: clocked(call, counts[call])[clock] for call in order}
        ratios.append(np.log(seconds[slow] / seconds[fast]))
    return np.array(ratios)


def median_below(values: Array, bar: float, *, source: str) -> fpk.Estimate:
    """The median of noisy values less ``bar``, with the standard error its spread implies: to be negative."""
    middle = float(np.median(values))
    spread = float(np.median(np.abs(values - middle)))
    error = max(MEDIAN_ERROR * spread / len(values) ** 0.5, 1e-6)
    return fpk.Estimate(np.array([middle - bar]), np.zeros(1), np.array([error**2]), samples=len(values), source=source)


def reached(route: Route, task: AnyTask, cells: int, effort: int, target: float) -> bool:
    """Whether the error stays within the target with more cells, and twice the steps, as well.

    Errors in space and time that happen to cancel are no accuracy: nobody finds them without the answer.
    """
    settings = [(cells, effort), (round(route.finer * cells), effort)] + [(cells, 2 * effort)] * route.steps
    return all(task.error(route.solve(task, n, m)) <= target for n, m in settings)


def measured(route: Route, task: AnyTask, cells: int, effort: int) -> Setting:
    """One setting: the first call tells the error, later ones the time."""

    def call() -> Array:
        return route.solve(task, cells, effort)

    error, once = task.error(call()), clocked(call, 1)
    cpu, wall = min(once, clocked(call, 1)) if once[CPU] > SLOW else timed(call, repeats=3)
    return Setting(route.name, cells, effort, error, cpu, wall)


def searched(route: Route, task: AnyTask, target: float) -> list[Setting]:
    """For each number of cells the smallest effort that reaches the target, timed; fastest first.

    Raises
    ------
    ComparisonError
        If no setting of the route reaches it.
    """
    found = []
    for cells in route.cells:
        for effort in route.efforts:
            if reached(route, task, cells, effort, target):
                found.append(measured(route, task, cells, effort))
                break
    if not found:
        raise ComparisonError(
            f"{route.name} reaches no L1 error of {target:g} for {task.name} with {list(route.cells)} cells: widen its search."
        )
    return sorted(found, key=lambda setting: setting.seconds)


def tried(route: Route, task: AnyTask) -> list[Setting]:
    """Every setting of a route with its error and time, those that break down left out."""
    out = []
    for cells in route.cells:
        for effort in route.efforts:
            try:
                out.append(measured(route, task, cells, effort))
            except (fpk.FpkError, ArithmeticError, ValueError, np.linalg.LinAlgError):
                continue
    return out


def table(settings: list[Setting]) -> dict[str, Array]:
    """A table for the evidence: names, and one column for each number."""
    columns = np.array([s.row for s in settings]).reshape(len(settings), 5).T
    names = ("cells", "effort", "error", "cpu_seconds", "wall_seconds")
    return {"route": np.array([s.route for s in settings])} | dict(zip(names, columns, strict=True))
