r"""Grid solutions of the Fokker–Planck and continuity equations in one dimension.

    ∂_t p = −∂_x J,   J = f p − ∂_x (D p),   D = ½ g².

:mod:`fluxes` turns J into a rate matrix, :mod:`stepping` advances p' = A(t) p, :mod:`characteristics` serves zero noise, and
:func:`fpk.fokker_planck.solver.solve` is the one way in.

Around it, on the same discretisation: :mod:`backward` (expectations by start, exit problems), :mod:`transitions` (densities from one point),
:mod:`first_passage`, :mod:`stationary` (laws, currents, spectral gaps) and :mod:`reversal` (the jump process run backwards).
"""
