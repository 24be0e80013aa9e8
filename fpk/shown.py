"""What a notebook can show: the one method it asks for.

What is shown says nothing about what is computed, and may change without it: so it stands in :mod:`fpk.notebook`, which knows every class
and is loaded when a notebook asks.
"""

from __future__ import annotations

from importlib import import_module


class Shown:
    """What has a card in notebooks."""

    def _repr_html_(self) -> str:
        return import_module("fpk.notebook").html_of(self)
