r"""Grid solutions of the Fokker–Planck and continuity equations in one dimension; :mod:`product` has two and three.

    ∂_t p = −∂_x J,   J = f p − ∂_x (D p),   D = ½ g².

:func:`fpk.fokker_planck.solver.solve` is the way in. From a problem to its marginals:

======================= ==============================================================================================
:mod:`fluxes`           J as a rate matrix A: sixth order and exact on Gibbs laws, or second order and positive
:mod:`kernels`          the compiled loops of the fluxes and of banded solves
:mod:`stepping`         p' = A(t) p, and its transpose, by L-stable Runge–Kutta steps
:mod:`exponentials`     one exponential where A(t) = c(t) A, Magnus steps elsewhere
:mod:`discretisation`   schemes (a flux with a step), the choice among them, and the forward and backward maps
:mod:`solver`           ``solve``, and the mass at the edges of a box
:mod:`solutions`        densities, laws, scores, and expectations with their budget
:mod:`splines`          quintic splines between the cell centres
:mod:`residuals`        dual-weighted residuals and proven L¹ bars: what a solution gets wrong
:mod:`characteristics`  zero noise, along characteristics; the default there
:mod:`conservative`     zero noise, by masses of cells: conserved and positive to the last bit
======================= ==============================================================================================

Around the forward solve, on the same discretisation:

======================= ==============================================================================================
:mod:`boxes`            ``fitted_grid``: a box and its cells, chosen by cheap solves
:mod:`adaptive`         ``solve_to``: as many steps as an accuracy needs
:mod:`backward`         expectations by start, joint laws of two times, exit probabilities and mean exit times
:mod:`transitions`      densities from one point
:mod:`first_passage`    when, and through which wall, a process leaves an interval
:mod:`stationary`       null vectors: stationary laws, currents, spectral gaps
:mod:`reversal`         the jump process on the cells, run backwards
:mod:`payoffs`          payoffs and times of backward equations, checked
:mod:`steady`           what has no stationary law is refused
======================= ==============================================================================================
"""
