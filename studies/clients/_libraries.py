"""Which of the libraries can be imported here."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

#: What is imported, and what the package index calls it.
MODULES = {
    "diffusers": ("diffusers.schedulers", "diffusers"),
    "k-diffusion": ("k_diffusion.sampling", "k-diffusion"),
    "azula": ("azula.sample", "azula"),
    "flow_matching": ("flow_matching.solver", "flow_matching"),
    "torchcfm": ("torchcfm.conditional_flow_matching", "torchcfm"),
}


@cache
def loaded(library: str) -> Any:
    """The module of a library, or None where it (or something it imports) is missing or broken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(MODULES[library][0])
        except (ImportError, RuntimeError, OSError, AttributeError):
            return None


def part(name: str) -> Any:
    """A module of a library that is there, by its full name."""
    return importlib.import_module(name)


@cache
def found(library: str) -> str:
    """The version that is installed; empty where there is none."""
    try:
        return version(MODULES[library][1])
    except PackageNotFoundError:
        return ""


def state(library: str) -> str:
    """One line for the catalogue: the version, or that it is skipped."""
    return f"{library} {found(library)} is installed." if found(library) else f"{library} is not installed: skipped."


def loadable(library: str) -> bool:
    """Whether it is installed, and (where it is) can be imported."""
    return bool(found(library)) and loaded(library) is not None
