"""Speed, measured: error against time for every scheme next to what else a user could run. Only when named: timings need a quiet machine."""
