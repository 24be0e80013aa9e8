"""Is my sampler right? A loop written elsewhere is given an exact model, and everything about it that can be checked is.

You learn to declare what a model predicts and which labels it takes, and to read an examination.
"""

from itertools import pairwise

import numpy as np

import fpk
from fpk.battery import examine_sampler
from fpk.fields import Index

path = fpk.VPSchedule(0.1, 20.0)


def my_ddim(model, x, steps, rng):
    """Deterministic DDIM over the labels 1000, ..., 0 of a model that was trained with 1, ..., 1000."""
    labels = np.linspace(1000, 0, steps + 1).round().astype(int)
    for k, after in pairwise(labels):
        noise = model(x, k)
        clean = (x - path.sigma(k / 1000) * noise) / path.alpha(k / 1000)
        x = path.alpha(after / 1000) * clean + path.sigma(after / 1000) * noise
    return x


labels = Index(1000, first=1, start=0.001)
found = examine_sampler(my_ddim, kind="noise", schedule=path, time=labels, order=1, checks=["labels", "law", "order"])
print(found)
print("The law itself:", found["law"].verdict.outcome)
