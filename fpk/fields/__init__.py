r"""Fields: what models learn, what samplers follow, and how one is turned into another.

On a path X_t = α_t X_0 + σ_t Z everything a model may be trained to predict is a combination of the same two conditional means,

    E[X_0 | X_t = x]  (denoised)   and   E[Z | X_t = x]  (noise),   with  x = α_t E[X_0 | x] + σ_t E[Z | x],

so that any one of the kinds noise, denoised, v, score and velocity gives all others, once its kind and its schedule are declared.
"""

from fpk.fields.adapters import as_field
from fpk.fields.exact import empirical_field, exact_field
from fpk.fields.field import Field
from fpk.fields.guidance import classifier_free, classifier_guided, observed, tilted
from fpk.fields.inputs import EDM, Index
from fpk.fields.kinds import KINDS, conversion

__all__ = [
    "EDM",
    "KINDS",
    "Field",
    "Index",
    "as_field",
    "classifier_free",
    "classifier_guided",
    "conversion",
    "empirical_field",
    "exact_field",
    "observed",
    "tilted",
]
