"""A likelihood of a flow: follow it to the noise, add up the divergence, and hold log p against the law the model is exact for.

You learn that a log-likelihood has to integrate to 1, whatever it is compared with.
"""

from itertools import pairwise

import numpy as np

import fpk
from fpk.fields import exact_field
from fpk.laws import central_derivative

law, path, steps = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.3, 0.5]), fpk.VPSchedule(0.1, 20.0), 200
field = exact_field(law, path)


def log_likelihood(x, sign=1.0):
    """Log p_1 at the end of the flow plus ∫ ∇·v along it, by the classical Runge–Kutta method; times crowd near 0."""
    times, total = np.linspace(0, 1, steps + 1) ** 2 + 1e-5, np.zeros(len(x))
    for t, after in pairwise(times):
        h, middle = after - t, (t + after) / 2
        stages, where = [], x
        for weight, s in ((0.5, t), (0.5, middle), (1.0, middle), (0.0, after)):
            v = field.velocity(where, s)
            stages.append((v, central_derivative(lambda y, s=s: field.velocity(y, s), where, 1e-3)[:, 0]))
            where = x + weight * h * v
        x = x + h * sum(w * v for w, (v, _) in zip((1, 2, 2, 1), stages, strict=True)) / 6
        total += sign * h * sum(w * d for w, (_, d) in zip((1, 2, 2, 1), stages, strict=True)) / 6
    return fpk.exact(fpk.noising(path, law, horizon=1.1), times=[times[-1]]).law(times[-1]).log_density(x) + total


print(fpk.testing.assert_likelihood(log_likelihood, law, schedule=path, error=1e-3))
try:
    fpk.testing.assert_likelihood(lambda x: log_likelihood(x, sign=-1.0), law, schedule=path, error=1e-3)
except fpk.Refuted as failure:
    print("\nWith the sign of the divergence changed:", str(failure).splitlines()[0])
