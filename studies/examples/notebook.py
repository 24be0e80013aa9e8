"""For notebooks and other programs: cards of everything, arrays with names, a netCDF file.

You learn what ends a session: in a notebook the last line of a cell shows a card; here they make a page. The file needs the extra ``xarray``.
"""

from pathlib import Path

from scipy import stats

import fpk
from fpk.exports import to_netcdf, to_sympy

start = stats.gamma(9.0, scale=0.2)  # laws of scipy.stats are laws
problem = fpk.Problem("sin(2*x) - x", "0.8", initial=start, name="two wells")
solution = fpk.solve(problem, fpk.Grid(-4, 7, cells=128), times=[0.1, 0.5, 1.0])
run = fpk.simulate(problem, particles=50_000, steps=64, times=[0.5, 1.0], seed=0)
verdict = fpk.compare(solution, run, tolerance=0.1)
print(verdict)
print("the drift as a formula:", to_sympy(problem.drift))

cards = "".join(thing._repr_html_() + "<br>" for thing in (problem, solution, run, verdict))
Path("cards.html").write_text(f"<!doctype html><meta charset=utf-8><title>Cards</title>{cards}", encoding="utf-8")
try:
    print("written:", to_netcdf(solution, "two_wells.nc"))
except fpk.FpkError as missing:
    print(missing)
