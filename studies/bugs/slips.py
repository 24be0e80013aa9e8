r"""Mistakes of samplers, re-created beside their correct twins: for every class, what the battery says of either.

A record is the examination of one loop: its functionals are the checks, −1 where the check confirmed, 0 where it could not tell, 1 where it refuted
and the mistake is among the first three suspects. The loop is right as far as anybody can see if all of them are below 0.
"""

from __future__ import annotations

from . import _crashes, _ends, _labels, _noises, _orders, _parametrisations
from ._battery import claimed, studied

CLASSES = {
    "A": (
        _labels.EXAMPLES,
        "A sampler walks the levels it was asked for, from first to last, and its model is told the level of the positions it is shown.",
        r"t_0 = T > t_1 > \dots > t_n = 0,\quad \text{label}_k = \ell(t_k),\quad x_k \sim p_{t_k}",
        "Song, Meng and Ermon (2021), equation 12; Nichol and Dhariwal (2021), equation 17; Esser et al. (2024), equation 23",
    ),
    "B": (
        _noises.EXAMPLES,
        "The noise of a step has the variance that its drift, or the shortened direction, leaves room for.",
        r"x' = \sqrt{\bar\alpha'}\,\hat x_0 + \sqrt{1-\bar\alpha'-s^2}\,\hat\varepsilon + s z,\qquad s^2\le 1-\bar\alpha'",
        "Ho, Jain and Abbeel (2020), equations 6 and 7; Song, Meng and Ermon (2021), equation 12; Karras et al. (2022), algorithm 2",
    ),
    "C": (
        _ends.LAST_STEPS,
        "The last step ends at noise level 0 and keeps no noise.",
        r"\sigma_n = 0,\qquad X_n = \mathbb E[X_0\mid X_{n-1}] \text{ for a point mass}",
        "Ho, Jain and Abbeel (2020), algorithm 2; Karras et al. (2022), algorithm 1; Song et al. (2021), appendix G",
    ),
    "D": (
        _ends.PRIORS,
        "A sampler starts from the law that its first step is made for.",
        r"x_0 \sim p_T = \operatorname{law}(\alpha_T X_0 + \sigma_T Z)",
        "Lin et al. (2024), section 3.1; Karras et al. (2022), algorithm 1",
    ),
    "E": (
        _parametrisations.EXAMPLES,
        "A sampler reads the output of its model as what it was declared to be, with its sign and the direction of its time.",
        r"\hat x_0 = \alpha x-\sigma v = \frac{x-\sigma\varepsilon}{\alpha},\qquad \varepsilon=-\sigma\nabla\log p",
        "Salimans and Ho (2022), appendix D; Song et al. (2021), equation 6; Lipman et al. (2023), equation 1",
    ),
    "F": (
        _orders.EXAMPLES,
        "A solver of second order is of second order.",
        r"\bigl\|x_n - T(x_0)\bigr\| = O(n^{-2}),\qquad T=F_0^{-1}\circ F_T",
        "Karras et al. (2022), algorithm 1; Lu et al. (2022), DPM-Solver++, algorithm 2",
    ),
    "J": (
        _crashes.EXAMPLES,
        "For every legal number of steps something finite comes out.",
        r"x_n \in \mathbb R^d \text{ for all } n\ge 1",
        "Karras et al. (2022), equation 5; Lu et al. (2022), DPM-Solver++, algorithm 2",
    ),
}  # fmt: skip

CLAIMS = tuple(
    claimed(family, words, tex, source, examples) for family, (examples, words, tex, source) in CLASSES.items()
)
for _family, (_examples, *_) in CLASSES.items():
    studied(_family, _examples, module=__name__)
