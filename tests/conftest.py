"""Settings shared by every test: hypothesis is derandomised, so a run is a function of the code alone."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fpk", derandomize=True, max_examples=20, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("fpk")
