"""From data to samples: fit a velocity to samples, follow it back from noise, hold what comes out against the law of the data.

You learn the whole way, and that a generated ensemble is compared like any other. The fit is exact least squares: no training loop.
"""

import numpy as np

import fpk
from fpk.models.features import Hermite, RadialBasis, Timed
from fpk.models.fits import fit
from fpk.models.objectives import conditional, over_time
from fpk.models.points import paired
from fpk.samplers import ProbabilityFlow
from fpk.schedules import OTSchedule

law, path, rng = fpk.problems.two_peaks(), OTSchedule(), np.random.default_rng(0)
data = law.sample(20_000, rng)  # or yours, of shape (n, d)

features = Timed(RadialBasis(np.linspace(-3, 3, 16), width=0.5) + Hermite(1), degree=7, start=0.0, end=1.0)
objective = over_time(features, lambda base, t: conditional(base, paired(data, path, t=t, rng=rng), kind="velocity"))
model = fit(features, objective, kind="velocity", schedule=path, ridge=1e-6)

exact = fpk.LawMarginals({0.0: law}, (0.0,), source="the law of the data")
for steps in (8, 2):
    generated = ProbabilityFlow(model.field, steps=steps, method="rk4").sample(20_000, seed=1)
    print(fpk.compare(generated, exact, tolerance=0.1))
