"""Monte Carlo particles: the same SDE, simulated. :func:`fpk.particles.euler_maruyama.simulate` is the one way in."""
