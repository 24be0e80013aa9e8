r"""Planting: a formula replaced at its definition, with everything restored afterwards.

A mutant replaces one function, method or property of the library. Whoever uses that formula then uses the wrong one, both sides of a
comparison included: a check whose two sides share the formula does not notice, and is seen not to notice.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from fpk.errors import UnknownName

#: Prefixes of the modules in which copies made by ``from x import f`` are replaced too.
OURS = ("fpk.", "fpk_studies_")
#: Modules whose caches are of code, packages and templates, not of values.
KEPT = ("fpk.catalogue", "fpk.store", "fpk.tasks", "fpk.runner", "fpk.reporting", "fpk.kill_matrix")
#: Subjects a mutant can belong to.
SUBJECTS = ("problem", "schedule", "transformation", "field", "law", "scheme", "particles")


@dataclass(frozen=True)
class Mutant:
    """One wrong variant of one formula.

    Parameters
    ----------
    name : str
        The mistake, in the field's words; unique.
    target : str
        ``module:function`` or ``module:Class.method`` (a property is fine), the module without the leading ``fpk.``.
    change : callable
        original function → wrong function of the same signature.
    subject : str
        One of :data:`SUBJECTS`.
    near : bool, default False
        A near-miss: an effect of at most 5 %.
    excuse : str, optional
        Why no study refutes it today; a mutant that survives without one is a failure.
    pure : bool, default True
        Whether the original may be called again on the same arguments to see if the two differ; False for functions that draw random
        numbers or change their arguments.
    """

    name: str
    target: str
    change: Callable[[Callable[..., Any]], Callable[..., Any]]
    subject: str
    near: bool = False
    excuse: str = ""
    pure: bool = True

    def __post_init__(self) -> None:
        if self.subject not in SUBJECTS:
            raise UnknownName("subject of a mutant", self.subject, SUBJECTS)


@dataclass
class Calls:
    """What happened to a planted function: how often it was called, and whether it ever differed from the right one."""

    count: int = 0
    differed: bool = False

    def forget(self) -> None:
        """Start anew, for example after the studies were imported."""
        self.count, self.differed = 0, False


@contextmanager
def planted(mutant: Mutant) -> Iterator[Calls]:
    """Use the wrong formula wherever the right one was defined or imported; restore everything at the end.

    Copies in loaded modules of fpk and of studies are replaced, module-level caches of fpk are emptied on both sides. Objects made
    before keep the bound methods they hold: import studies anew (:func:`fpk.kill_matrix.imported_anew`).
    """
    calls = Calls()
    with _replaced(mutant.target, lambda original: _observed(original, mutant.change(original), calls, mutant.pure)):
        yield calls


@contextmanager
def traced(targets: Sequence[str]) -> Iterator[dict[str, Calls]]:
    """Count the calls of the targets, changing nothing."""
    seen = {target: Calls() for target in targets}
    with ExitStack() as stack:
        for target, calls in seen.items():
            stack.enter_context(_replaced(target, lambda original, calls=calls: _counted(original, calls)))
        yield seen


def function_of(target: str) -> Callable[..., Any]:
    """The function a target names, as it is now: a property's getter, a class method's function.

    Raises
    ------
    UnknownName
        If there is nothing of that name.
    """
    _, _, found = _located(target)
    return _function_in(found)


def _located(target: str) -> tuple[Any, str, Any]:
    """Owner (module or class), name, and what stands there, unbound."""
    module_name, _, path = target.partition(":")
    module = importlib.import_module(f"fpk.{module_name}")
    owner: Any = module
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    if name not in vars(owner):
        raise UnknownName(f"function (of a mutant) in fpk.{module_name}", path, sorted(vars(owner)))
    return owner, name, vars(owner)[name]


def _function_in(found: Any) -> Callable[..., Any]:
    if isinstance(found, property):
        assert found.fget is not None, found
        return found.fget
    if isinstance(found, functools.cached_property):
        return found.func
    return found.__func__ if isinstance(found, classmethod | staticmethod) else found


def _dressed(found: Any, function: Callable[..., Any]) -> Any:
    """The new function in the old one's place: a cached property becomes a plain one, so that values cached before do not count."""
    if isinstance(found, property | functools.cached_property):
        return property(function)
    return type(found)(function) if isinstance(found, classmethod | staticmethod) else function


@contextmanager
def _replaced(target: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    owner, name, found = _located(target)
    new = _dressed(found, change(_function_in(found)))
    places = [(owner, name), *_copies(owner, found)]
    _empty_caches()
    for place, own in places:
        setattr(place, own, new)
    try:
        yield
    finally:
        for place, own in {*places, *_copies(None, new)}:  # modules imported meanwhile hold copies of the wrong one
            setattr(place, own, found)
        _empty_caches()


def _modules() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name == "fpk" or name.startswith(OURS)]


def _copies(owner: Any, found: Any) -> list[tuple[Any, str]]:
    """Names in other modules that hold the same object."""
    return [
        (module, name)
        for module in _modules()
        if module is not owner
        for name, value in list(vars(module).items())
        if value is found
    ]


def _empty_caches() -> None:
    """Empty the module-level caches of fpk's computing modules, so that right and wrong values never meet."""
    for module in _modules():
        if module.__name__.startswith("fpk.") and module.__name__ not in KEPT:
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def _counted(original: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        calls.count += 1
        return original(*args, **kwargs)

    return call


def _observed(original: Callable[..., Any], wrong: Callable[..., Any], calls: Calls, pure: bool) -> Callable[..., Any]:
    @functools.wraps(original)  # Coefficient reads the signature of what it is given
    def call(*args: Any, **kwargs: Any) -> Any:
        calls.count += 1
        if calls.differed or not pure:
            calls.differed = True
            return wrong(*args, **kwargs)
        right = original(*args, **kwargs)
        calls.differed = True  # stays, if the wrong one raises
        result = wrong(*args, **kwargs)
        calls.differed = not same(right, result)
        return result

    return call


def same(a: Any, b: Any) -> bool:
    """Whether two results are equal bit for bit; functions and generators never are, as they cannot be compared."""
    if callable(a) or callable(b) or hasattr(a, "__next__"):
        return a is b
    if isinstance(a, tuple | list):
        return isinstance(b, tuple | list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray | np.generic | float | int) and isinstance(b, np.ndarray | np.generic | float | int):
        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
    return same(vars(a), vars(b)) if hasattr(a, "__dict__") and type(a) is type(b) else a == b
