"""``fpk plan``: how much work settles a claim, from a pilot at the quick size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fpk.command_line.group import known_names, main, seed_option, study_options, where_options, where_to_compute
from fpk.command_line.run import computed, root_seed


@main.command(
    epilog="""\b
Examples:
  fpk plan S0.E12        how many particles, or which grid, settle this claim
  fpk plan calibration   the same for all claims whose ids begin with calibration."""
)
@click.argument("names", nargs=-1, required=True, shell_complete=known_names)
@study_options
@where_options
@seed_option
def plan(names: tuple[str, ...], studies: Path, store: Path, as_json: bool, seed: str, **_: Any) -> None:
    """Plan the work that settles the claims or studies NAMES, from a pilot at the quick size."""
    from fpk.catalogue import load_catalogue
    from fpk.planning import plan_from
    from fpk.study import Size

    where, catalogue = where_to_compute(), load_catalogue(studies)
    judged = computed(catalogue, catalogue.selected(names), Size("quick"), store, root=root_seed(seed), **where)
    rows = []
    for j in judged:
        if not (j.record.stated and j.record.expected == "CONFIRMED" and j.verdict and j.record.kind != "bound"):
            continue
        found = plan_from(j.verdict)
        rows.append({"id": j.record.id, "variant": j.record.variant, "case": j.record.case, "plan": str(found)})
        if not as_json:
            form = " · ".join(part for part in (j.record.id, j.record.variant, j.record.case) if part)
            click.echo(
                f"{form}: {found}\n    pilot {' | '.join(j.record.pair)}; sees {j.record.mde_model or j.record.mde}"
            )
    if as_json:
        click.echo(json.dumps({"schema": "fpk/1", "plans": rows}, ensure_ascii=False))
    elif not rows:
        click.echo("fpk: nothing to plan: no stated form here is expected CONFIRMED within a tolerance.", err=True)
