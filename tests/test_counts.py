import numpy as np
import pytest

from fpk.counts import counting


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (np.int64(1), "1 step"), (1200, "1,200 steps")]
)
def test_one_of_them_is_no_plural(count, told):
    assert counting(count, "step") == told
