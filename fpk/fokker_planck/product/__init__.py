r"""Grid solutions of the Fokker–Planck equation in two and three dimensions, with a full diffusivity tensor.

    ∂_t p = −Σ_i ∂_i (f_i p) + Σ_ij ∂_i ∂_j (D_ij p),   D = ½ G Gᵀ.

The law lives in an open box, which has to be wide enough and is checked. :func:`fpk.fokker_planck.solver.solve` takes products of grids to:

======================= ==============================================================================================
:mod:`fields`           f and D at the cell centres
:mod:`discretisation`   what a scheme is, the choice among them, and the forward and backward maps
:mod:`separable`        one matrix exponential along each axis, where coordinates do not interact (:mod:`axes`, :mod:`matrices`)
:mod:`explicit`         the default elsewhere: Faber polynomials of eighth-order differences (:mod:`central`, :mod:`differences`)
:mod:`positive`         jumps between cells, for any tensor: never below zero (:mod:`selling`)
:mod:`carried`          masses carried along characteristics, noise after: never below zero, for drifts that are strong
:mod:`alternating`      Hundsdorfer–Verwer steps, second order
:mod:`spectral`         Fourier differences; in three dimensions, for smooth laws
:mod:`flow`             zero noise, along characteristics (:mod:`tracks`, :mod:`divergence`), or by masses of cells (:mod:`remap`)
:mod:`solver`           ``solve`` in two and three dimensions
:mod:`solutions`        densities, laws, scores, and expectations with their budget (:mod:`slices`: projections)
:mod:`residuals`        dual-weighted residuals: what a solution gets wrong
:mod:`reversal`         the jumps of the positive scheme, run backwards
:mod:`backward`         expectations by start, on the same steps transposed
:mod:`stationary`       laws at rest with their current and spectrum, by Arnoldi's method on the exponentials
======================= ==============================================================================================
"""
