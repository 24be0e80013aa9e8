"""The command line: ``fpk run``, ``list``, ``explain``, ``report``, ``diff``, ``rerun``, ``why``, ``store``, ``plan``, ``mutants``, ``doctor`` ...

Exit codes: 0 every record holds; 1 a record contradicts its expectation; 2 usage; 3 nothing contradicts but something is undecided; 4 a case
crashed or its record is missing (4 goes before 1, 1 before 3); 130 interrupted, with everything finished kept.
"""

from fpk.command_line.group import main

# Importing a module registers its commands; each imports what it needs only when it runs.
from fpk.command_line import about, again, diff, look, mutants, plan, report, run, store, why  # isort: skip  # noqa: F401

__all__ = ["main"]
