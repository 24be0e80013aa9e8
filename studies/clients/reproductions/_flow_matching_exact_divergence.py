# pyright: reportMissingImports=false
"""compute_likelihood(exact_divergence=True) indexes the first axis of the data by the number of all its entries: IndexError for images."""

import torch
from flow_matching.solver import ODESolver

solver = ODESolver(velocity_model=lambda x, t: -x)


def log_normal(x):
    return -0.5 * (x**2).flatten(1).sum(1)


for shape in ((5, 4), (5, 2, 2), (5, 1, 2, 2)):
    try:
        _, found = solver.compute_likelihood(
            torch.ones(shape), log_normal, step_size=0.01, method="midpoint", exact_divergence=True
        )
        print(shape, found)  # -2 e² + 4 = -10.8
        assert shape == (5, 4)
    except IndexError as error:
        print(shape, "IndexError:", error)
        assert shape != (5, 4)
