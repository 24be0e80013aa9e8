"""Settings and material shared by the tests: hypothesis is derandomised, so a run is a function of the code alone."""

from __future__ import annotations

import gc
import os
import warnings
import zlib
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # workers that each have threads wait for one another; read by numpy

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from fpk.check_context import SURROUNDINGS

settings.register_profile(
    "fpk",
    derandomize=True,
    max_examples=20,
    deadline=None,
    database=None,
    print_blob=False,  # stated, as deadline and database are: hypothesis has other defaults on build servers
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fpk")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of a test: from its name, never chosen."""
    return zlib.crc32(request.node.name.encode())


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Random numbers of a test's own."""
    return np.random.default_rng(seed)


@pytest.fixture
def outside():
    """No surrounding test, as in a notebook: what is counted here is not to be counted as its checks."""
    token = SURROUNDINGS.set(None)
    yield
    SURROUNDINGS.reset(token)


@pytest.fixture
def sockets():
    """Connections to workers that are gone are left to the garbage collector by tornado: collect them here, not in a later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


TINY = '''"""One plus one, as a study in one file; every computation leaves a line in calls.log."""

from pathlib import Path

import numpy as np

import fpk
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, study
from fpk.verdict import Outcome

CLAIMS = (
    Claim(
        "tiny.sum", "identity", "One and one are two.", "1+1=2", "arithmetic",
        {"stated": Outcome.CONFIRMED, "two + 5 %": Outcome.REFUTED, "sign": Outcome.REFUTED},
        {"sign": "minus two"},
    ),
)


@study("tiny.sum", variants={"stated": 2.0, "two + 5 %": 2.1, "sign": -2.0})
def total(variant, case, size, seed):
    with Path(__file__).with_name("calls.log").open("a") as log:
        log.write(f"{variant}\\n")
    first = fpk.residual(np.array([1.0 + 1.0 - variant, 0.0]), 1e-12, source="arithmetic")
    return Evidence(first, zero_estimate(2), ("1 + 1", "0"))
'''


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A study file with one claim, one stated form and two controls."""
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    return path
