r"""Models of other people as fields: kind, time, direction and scale are declared, and nothing is guessed.

A model on the scaled path y = s_t x (:mod:`fpk.fields.inputs`) says, of the two conditional means that do not depend on the scale,

========= ======================================= ==================================================
kind      the model's output o at y               on the path
========= ======================================= ==================================================
noise     E[Z | x]                                o
denoised  E[X_0 | x]                              o
score     ∇_y log of the density of y             score = s o
v         α' E[Z | x] − σ' E[X_0 | x]             v = o/s
velocity  dy/dt (t_noise), −dy/dt (t_data)        velocity = (± o − ṡ x)/s
edm       F of c_skip y' + c_out F, scale EDM     v = s² α σ (1 − σ_d²) x − s σ_d (α² + σ²) o
========= ======================================= ==================================================

with α' = s α and σ' = s σ. The last is the raw network of Karras et al. (2022), equation 7, whose denoised mean at noise level σ/α is
σ_d²/((σ/α)² + σ_d²) y' + (σ/α) σ_d/√((σ/α)² + σ_d²) F, where y' = x/α: for σ_d = 1 on a variance-preserving path F is −v.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.fields.calling import caller, checked
from fpk.fields.field import Field
from fpk.fields.inputs import EDM, checked_scale, clock, scaling, scaling_rate
from fpk.fields.kinds import checked_kind
from fpk.laws import Array
from fpk.schedules import Schedule


def as_field(
    model: Any,
    *,
    kind: str,
    schedule: Schedule,
    time: Any,
    direction: str,
    scale: Any,
    time_as: str | None = None,
    batch: int | None = None,
) -> Field:
    """A trained model as a field on the path of a schedule.

    Parameters
    ----------
    model : torch.nn.Module, object with ``predict``, or callable
        See :mod:`fpk.fields.calling` for what each is given.
    kind : str
        What it was trained to predict: one of KINDS, or ``edm`` (with the scale EDM), as in the table above.
    schedule : Schedule
        α_t and σ_t of the path, data at t = 0.
    time : ``"path"``, ``"sigma"``, Index, callable or None
        What it takes for the time u of ``direction``: u itself, the noise level σ/α, an index (:class:`fpk.fields.Index`), any function of u, or
        nothing.
    direction : str
        ``"t_noise"``: u = t grows towards the noise. ``"t_data"``: u = 1 − t grows towards the data (flow matching), and velocities are
        those of u.
    scale : ``"path"``, ``"VP"``, ``"VE"`` or EDM
        The positions it was trained on (:mod:`fpk.fields.inputs`).
    time_as : str, optional
        ``"scalar"``, ``"vector"`` (n,) or ``"column"`` (n, 1); default a vector for torch modules, a number for functions.
    batch : int, optional
        Most rows at once; default all.

    Returns
    -------
    Field
        Of the same kind; of kind v for ``edm``. It is called, not compiled.

    Raises
    ------
    ProblemError
        For declarations that mean nothing, and on evaluation for outputs of another shape or type.
    UnknownName
        For an unknown kind.
    NonFinite
        On evaluation, where the model returned NaN or infinity.

    Examples
    --------
    >>> import numpy as np, fpk
    >>> from fpk.fields import as_field
    >>> model = lambda y, sigma: sigma / np.sqrt(1 + sigma**2) * y  # the noise in N(0, 1) data, of y = x/√(α² + σ²)
    >>> path = fpk.VESchedule()
    >>> field = as_field(model, kind="noise", schedule=path, time="sigma", direction="t_noise", scale="VP")
    >>> float(field.score(np.ones((1, 1)), 0.8)[0, 0]) * (1 + path.sigma(0.8) ** 2)
    -1.0
    """
    if kind != "edm":
        checked_kind(kind)
    elif not isinstance(scale, EDM):
        raise ProblemError(f"a model of kind 'edm' has the scale EDM(sigma_data), got {scale!r}.")
    if batch is not None and batch < 1:
        raise ProblemError(f"a batch has at least one row, got batch={batch}.")
    call, given, size = caller(model, time_as), clock(time, schedule, direction), checked_scale(scale)
    sign = -1.0 if direction == "t_data" else 1.0

    @lru_cache(maxsize=4096)
    def numbers(t: float) -> tuple[float, float, float]:
        return scaling(size, schedule, t), *_back(kind, size, schedule, t, sign)

    def function(x: Array, t: float) -> Array:
        (s, gain, slope), now, rows = numbers(t), given(t), batch or max(len(x), 1)
        pieces = [checked(call(y, now), y, t) for y in (s * x[k : k + rows] for k in range(0, len(x), rows))]
        values = gain * np.concatenate(pieces) if pieces else np.zeros_like(x)
        return values + slope * x if slope else values

    return Field(function, "v" if kind == "edm" else kind, schedule)


def _back(kind: str, scale: str | EDM, schedule: Schedule, t: float, sign: float) -> tuple[float, float]:
    """The numbers of value = gain · output + slope · x: the last column of the table."""
    if kind in ("noise", "denoised"):
        return 1.0, 0.0
    s = scaling(scale, schedule, t)
    if kind == "score":
        return s, 0.0
    if kind == "v":
        return 1 / s, 0.0
    if kind == "velocity":
        return sign / s, -scaling_rate(scale, schedule, t)
    assert isinstance(scale, EDM)
    alpha, sigma, spread = schedule.alpha(t), schedule.sigma(t), scale.sigma_data
    return -s * spread * (alpha**2 + sigma**2), s**2 * alpha * sigma * (1 - spread**2)
