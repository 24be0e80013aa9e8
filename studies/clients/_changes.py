"""Controls: what is changed about a sampler so that a check must refuse it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fpk.battery import Examination, examine_sampler

from ._configurations import Client

NAN_AT = 3


def _told(change: Callable[[list[Any]], Callable[[Any, Any, Any], Any]]) -> Callable[[Client], Client]:
    """Another model between the sampler and the examination's: ``change([])(model, x, t)``."""

    def changed(client: Client) -> Client:
        def sampler(model: Any, start: Any, steps: int, rng: Any) -> Any:
            answer = change([])
            return client.sampler(lambda x, t, *_, **__: answer(model, x, t), start, steps, rng)

        return Client(sampler, client.declared)

    return changed


def _scaled(factor: float) -> Callable[[Client], Client]:
    return _told(lambda seen: lambda model, x, t: factor * model(x, t))


def _lower(seen: list[Any]) -> Callable[[Any, Any, Any], Any]:
    """Labels 3 % too small."""
    return lambda model, x, t: model(x, 0.97 * t)


def _broken(seen: list[Any]) -> Callable[[Any, Any, Any], Any]:
    """NaN from the third call on."""

    def answer(model: Any, x: Any, t: Any) -> Any:
        seen.append(t)
        return model(x, t) * (float("nan") if len(seen) >= NAN_AT else 1.0)

    return answer


def _wider(client: Client) -> Client:
    prior = client.declared["prior"]
    return Client(client.sampler, client.declared | {"prior": lambda n, rng: 1.1 * prior(n, rng)})


#: Control of each group: name, note, checks that are run, change.
CONTROLS: dict[str, tuple[str, str, tuple[str, ...], Callable[[Client], Client]]] = {
    "finiteness": ("NaN at the third call", "the model breaks down", ("finiteness",), _told(_broken)),
    "identities": ("label − 3 %", "the model is told labels 3 % too small", ("identities", "labels"), _told(_lower)),
    "prior": ("prior + 10 %", "the start is 10 % too wide", ("prior",), _wider),
    "law": ("half the output", "the model's output is halved", ("law",), _scaled(0.5)),
    "order": ("output + 2 %", "the model's output is 2 % too large", ("order",), _scaled(1.02)),
}  # fmt: skip


def controlled(client: Client, group: str) -> Examination:
    """The checks of a group on the control."""
    _, _, checks, change = CONTROLS[group]
    changed = change(client)
    return examine_sampler(changed.sampler, checks=checks, **changed.declared)
