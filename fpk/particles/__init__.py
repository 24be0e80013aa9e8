"""Monte Carlo particles: the same SDE, simulated. :func:`fpk.particles.simulation.simulate` is the one way in."""
