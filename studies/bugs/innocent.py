r"""What looks wrong and is right: confirmed as it is, refuted once it is "corrected"."""

from __future__ import annotations

from ._battery import claimed, studied
from ._innocent import EXAMPLES

CLAIMS = (
    claimed(
        "K",
        "Scaled inputs, steps of negative length, other coefficients or a velocity that is subtracted look wrong, and nothing is wrong.",
        r"x'=x+(\sigma'-\sigma)\,\varepsilon\bigl(x/\sqrt{1+\sigma^2},\sigma\bigr),\qquad x-h\,v(x,1-u)",
        "Song, Meng and Ermon (2021), equation 14; Ho, Jain and Abbeel (2020), equation 7; Song et al. (2021), equation 6",
        EXAMPLES,
    ),
)
studied("K", EXAMPLES, module=__name__)
