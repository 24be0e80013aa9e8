r"""Grid solutions of the Fokker–Planck equation in two and three dimensions, with a full diffusivity tensor.

    ∂_t p = −Σ_i ∂_i (f_i p) + Σ_ij ∂_i ∂_j (D_ij p),   D = ½ G Gᵀ.

The law lives in an open box, which has to be wide enough and is checked.
"""
