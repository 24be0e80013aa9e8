"""``fpk list`` and ``fpk explain``: what is known, without computing."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import (
    alpha_option,
    known_names,
    main,
    placed,
    size_option,
    stored_seed_option,
    study_options,
)
from fpk.command_line.telling import repeating, stored_seed
from fpk.counts import counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fpk.catalogue import Catalogue
    from fpk.command_line.kept import Kept
    from fpk.study import Remark


@main.command(
    "list",
    epilog="""\b
Examples:
  fpk list                 every claim, its kind, how many wrong variants it is tried with, its study
  fpk list calibration     those whose ids begin with calibration.""",
)
@click.argument("names", nargs=-1)
@study_options
def list_claims(names: tuple[str, ...], studies: Path, store: Path, as_json: bool) -> None:
    """List the claims (all, or the NAMES of claims, dotted beginnings, studies) with their studies, and which run only when named."""
    from fpk.catalogue import load_catalogue

    studies, names = placed(studies, names)
    catalogue = load_catalogue(studies)
    wanted = {study.claim for study in catalogue.selected(names)} if names else set(catalogue.claims)
    rows = [_listed(catalogue, id) for id in catalogue.claims if id in wanted]
    rows += [_remarked(remark) for remark in catalogue.remarked(names)]
    if as_json:
        click.echo(json.dumps({"schema": "fpk/1", "claims": rows}, ensure_ascii=False))
        return
    width = max(len(row["id"]) for row in rows) + 2
    for row in rows:
        click.echo(f"{row['id']:{width}s}{row['kind']:10s}{_tried(catalogue, row)}".rstrip())
        click.echo(click.wrap_text(row["statement"], 100, "    ", "    "))


def _tried(catalogue: Catalogue, row: Mapping[str, Any]) -> str:
    """How many wrong variants a claim is tried with, and where; nothing for a remark."""
    if row["id"] not in catalogue.claims:
        return ""
    controls = sum(outcome == "REFUTED" for outcome in catalogue.claims[row["id"]].expected.values())
    return f"{counting(controls, 'wrong variant')}   {row['study']}{'   only when named' if row['only_when_named'] else ''}"


def _remarked(remark: Remark) -> dict[str, Any]:
    """The row of a remark, with the keys of a claim's."""
    return {
        "id": remark.id, "kind": "wording", "study": "", "only_when_named": False, "variants": ["wording"], "statement": remark.statement,
    }  # fmt: skip


def _listed(catalogue: Catalogue, id: str) -> dict[str, Any]:
    """What there is to say about a claim before anything is computed."""
    claim, study = catalogue.claims[id], catalogue.study_of(id)
    return {
        "id": id, "kind": claim.kind, "study": study.name, "only_when_named": study.only_when_named,
        "variants": list(claim.expected), "statement": claim.statement,
    }  # fmt: skip


@main.command(
    epilog="""\b
Examples:
  fpk explain S0.E12           formula, source, controls, and what a full run found
  fpk explain --quick S0.E12   what a quick run found"""
)
@click.argument("name", shell_complete=known_names)
@study_options
@size_option
@stored_seed_option
@alpha_option
def explain(name: str, studies: Path, store: Path, as_json: bool, quick: bool, **how: Any) -> None:
    """Explain a claim: formula, source, routes, controls, and the verdicts and charts stored last."""
    from fpk.command_line.stored import stored
    from fpk.records import as_document, run_command
    from fpk.tables import charted

    catalogue, judged, found = stored(studies, store, [name], quick, whole=True, **how)
    if as_json:
        click.echo(json.dumps(as_document([j.record for j in judged]), ensure_ascii=False))
        return
    for remark in catalogue.remarked([name]):
        click.echo(
            f"{remark.id} (wording): {remark.statement}\n  source   {remark.source}\n  reading  {remark.explanation}"
        )
    for k, study in enumerate(catalogue.selected([name])):
        claim = catalogue.claims[study.claim]
        click.echo(
            f"{chr(10) if k else ''}{claim.id} ({claim.kind}): {claim.statement}\n  formula  {claim.formula}\n  source   {claim.source}"
        )
        if claim.assumptions:
            click.echo(f"  assuming {claim.assumptions}")
        click.echo(f"  study    {study.name}, cases: {', '.join(c or 'one' for c in study.cases)}")
        own = {(j.record.variant, j.record.case): j.record for j in judged if j.record.id == claim.id}
        for variant, case in study.checks:
            click.echo(
                _explained(
                    variant,
                    case,
                    str(claim.expected[variant]),
                    claim.notes.get(variant, ""),
                    own.get((variant, case)),
                    found[claim.id, variant, case],
                )
            )
        for table in charted(j for j in judged if j.record.id == claim.id):
            click.echo(f"  {table}")
        if other := _other_size(catalogue, store, claim.id, found, quick=quick, seed=how["seed"]):
            click.echo(f"  stored   {other}")
        click.echo(f"  rerun    {run_command([claim.id], repeating(studies=studies, quick=quick, **how))}")


def _explained(variant: str, case: str, expected: str, note: str, record: Any, found: Kept) -> str:
    from fpk.wording import number_text

    head = f"  {variant}{f' [{case}]' if case else ''}{f' — {note}' if note else ''}"
    if record is None or record.verdict is None:
        state = f"damaged: fpk run computes it anew ({found.path})" if found.damaged else "not run yet"
        return f"{head}\n    expected {expected}; {state}"
    mde = f", sees {record.mde_model}" if record.mde_model and record.stated else ""
    return (
        f"{head}\n    {record.verdict} (expected {expected}): {' | '.join(record.pair)}\n    difference {record.difference:+.2g}, "
        f"budget {record.budget:.2g}, standard error {record.standard_error:.2g}, tolerance {number_text(record.tolerance)}{mde}"
        + (f"\n    {record.reason}" if not record.holds else "")
    )


def _other_size(
    catalogue: Catalogue, store: Path, claim: str, found: Mapping[tuple[str, str, str], Kept], *, quick: bool, seed: str
) -> str:
    """Where to look if a claim has nothing at the size asked for, and has records at the other."""
    from fpk.store import Store
    from fpk.study import Size
    from fpk.tasks import tasks_of

    if any(record.path.exists() for check, record in found.items() if check[0] == claim):
        return ""
    size = "full" if quick else "quick"
    tasks = tasks_of(catalogue, [catalogue.study_of(claim)], size=Size(size), root_seed=stored_seed(seed))
    if not any(Store(store).path(task.key).exists() for task in tasks):
        return ""
    options = ["--quick"] * (not quick) + (["--seed", seed] if seed != "0" else [])
    return f"at the {size} size: {shlex.join(['fpk', 'explain', claim, *options])}"
