"""The pytest plugin of fpk: one root seed, a seed for each test, and failure texts that say how to run the test again.

``--fpk-seed=0`` (the default) makes every run the same. ``--fpk-seed=random`` draws a root seed once, on the controller if there are workers, and
prints it; every failing assertion of :mod:`fpk.testing` tells the command that repeats it. Nothing heavy is imported before a test needs it.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

import pytest

from fpk.check_context import SURROUNDINGS, CheckContext

#: Name of the user property that carries a verdict.
PROPERTY = "fpk_verdict"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--fpk-seed``."""
    parser.getgroup("fpk").addoption(
        "--fpk-seed",
        default="0",
        type=_checked_seed,
        metavar="N|random",
        help="root seed of the fixture fpk_seed: a whole number ≥ 0 (default 0), or random: drawn once and printed.",
    )


def _checked_seed(text: str) -> str:
    if text != "random" and not (text.isascii() and text.isdigit()):
        raise pytest.UsageError(f"--fpk-seed takes a whole number ≥ 0 or the word random, got {text!r}.")
    return text


def pytest_configure(config: pytest.Config) -> None:
    """Draw a random root seed once; workers are told theirs by the controller."""
    told = getattr(config, "workerinput", {}).get("fpk_seed")
    if told is not None:
        config.option.fpk_seed = told
    elif config.option.fpk_seed == "random":
        import secrets

        config.option.fpk_seed = str(secrets.randbits(32))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the root seed to a worker of pytest-xdist."""
    node.workerinput["fpk_seed"] = node.config.option.fpk_seed


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the root seed, if it is not the default."""
    seed = config.option.fpk_seed
    return None if seed == "0" else f"fpk: --fpk-seed={seed}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let the assertions of fpk know how this test is run again, and keep their verdicts with the test."""
    command = f"pytest {shlex.quote(item.nodeid)} --fpk-seed={item.config.option.fpk_seed}"
    token = SURROUNDINGS.set(CheckContext(command, lambda found: item.user_properties.append((PROPERTY, found))))
    try:
        return (yield)
    finally:
        SURROUNDINGS.reset(token)


@pytest.fixture
def fpk_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: derived from the root seed and the test's id, never chosen."""
    from fpk.study import seed_for

    return seed_for(int(request.config.option.fpk_seed), request.node.nodeid)
