"""Counts in words: one step, two steps."""


def counting(count: int, what: str) -> str:
    """So many of what is meant.

    Examples
    --------
    >>> counting(1, "record"), counting(1200, "record")
    ('1 record', '1,200 records')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"
