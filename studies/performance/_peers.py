"""Peers, where installed (extra ``bench``): py-pde, FiPy, fplanck and PyDDM, each in the way its own manual shows."""

from __future__ import annotations

from ._baselines import Route

PEERS: tuple[Route, ...] = ()
