r"""Figures: inline SVG for the report. For each claim one drawing of its effects, and drawings of densities and charts where there are some.

=================  =======================================================================================================================
:mod:`effects`     for every record, how far it is from equality against what its errors explain
:mod:`densities`   both sides at the last time, and below it their difference, that of particles in standard errors, and that of a control
:mod:`orders`      errors against step sizes, and the orders between neighbouring levels
:mod:`functionals` the difference of every functional, against its budget and the tolerance
:mod:`charts`      what a study hands over besides its evidence: rates, power, coverage, what is kept in time; with controls if it asks
:mod:`frames`      axes for curves that are drawn without matplotlib: fifty times as fast, for drawings every claim has
:mod:`drawing`     what all of them share: size, style, ticks, and the way from matplotlib to a page
=================  =======================================================================================================================

Text stays text, and colours are the page's CSS variables (``--ink``, ``--first`` ...). No meaning hangs on a colour alone.
"""

from fpk.figures.charts import chart_figures
from fpk.figures.densities import density_figures
from fpk.figures.effects import effect_figure
from fpk.figures.functionals import functional_figures
from fpk.figures.orders import order_figures

__all__ = ["chart_figures", "density_figures", "effect_figure", "functional_figures", "order_figures"]
