"""What is claimed of the least denoising loss over time, and the loss itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from ._loss_data import SETS, denoising_loss
from ._matching import FIELDS, SCHEDULE


class Least(NamedTuple):
    """Factors of all, of I and of d/σ², the power of σ there, and whether growth is divided by β(0)."""

    factor: float = 1.0
    information: float = 1.0
    noise: float = 1.0
    power: float = 2.0
    rate: bool = True

    def growth(self, name: str) -> float:
        """The growth with ln 1/ε that follows."""
        k, d = SETS[name.partition(",")[0]].dimensions
        noise = self.noise * d if self.power == 2 else 0.0
        left = noise - self.information * (d - k) + (d - k if name == BOUNDED else 0)
        return self.factor * left / (SCHEDULE.beta(0.0) if self.rate else 1.0)


LEAST = {
    "stated": Least(),
    "I dropped": Least(information=0.0),
    "sign of I": Least(information=-1.0),
    "½ extra": Least(0.5),
    "σ for σ²": Least(power=1.0),
    "β(0) dropped": Least(rate=False),
    "d/σ² + 0.5 %": Least(noise=1.005),
}
#: Weights of time from t and σ.
WEIGHTS: dict[str, Callable[[float, float], float]] = {
    "1": lambda t, sigma: 1.0,
    "√t": lambda t, sigma: t**0.5,
    "σ²": lambda t, sigma: sigma**2,
}
LOSSES = ("two peaks", "two points", "three points in the plane", "segment in the plane")
GROWING = ("two peaks", "two points", "segment in the plane", "cloud in the plane")
BOUNDED = "two points, bounded field"


def least_applies(variant: str, case: str) -> bool:
    what, _, name = case.partition(": ")
    if what == "loss":
        return variant != "β(0) dropped"
    k, d = SETS[name.partition(",")[0]].dimensions
    same = {"I dropped": k == d, "sign of I": k == d, "½ extra": k == 0, "β(0) dropped": k == 0}
    return name == BOUNDED or not same.get(variant, False)


@lru_cache(maxsize=256)
def loss_at(name: str, t: float, level: int) -> float:
    """The least loss at t, or that of a field which stays bounded."""
    field = FIELDS[1] if name == BOUNDED else None
    return denoising_loss(SETS[name.partition(",")[0]], SCHEDULE.alpha(t), SCHEDULE.sigma(t), level, field)
