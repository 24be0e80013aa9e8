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
from fpk.command_line.telling import counting, remarks_of, run_command, stored_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fpk.catalogue import Catalogue
    from fpk.command_line.kept import Kept
    from fpk.records import Judged
    from fpk.study import Remark
    from fpk.tasks import Task

#: What is left out is named up to this many.
FEW = 8


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
    from fpk.records import as_document
    from fpk.tables import charted

    catalogue, judged, found = stored(studies, store, [name], quick, **how)
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
        click.echo(f"  rerun    {run_command([claim.id], quick=quick, seed=how['seed'])}")


def _explained(variant: str, case: str, expected: str, note: str, record: Any, found: Kept) -> str:
    head = f"  {variant}{f' [{case}]' if case else ''}{f' — {note}' if note else ''}"
    if record is None or record.verdict is None:
        if found.damaged:
            state = f"damaged: fpk run computes it anew ({found.path})"
        elif found.evidence is None:
            state = "not run yet"
        else:
            state = "stored, not judged: other forms of its case are damaged or not stored"
        return f"{head}\n    expected {expected}; {state}"
    mde = f", sees {record.mde_model}" if record.mde_model and record.stated else ""
    return (
        f"{head}\n    {record.verdict} (expected {expected}): {' | '.join(record.pair)}\n    difference {record.difference:+.2g}, "
        f"budget {record.budget:.2g}, standard error {record.standard_error:.2g}, tolerance {record.tolerance or 0:.2g}{mde}"
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


def stored(
    studies: Path, store: Path, names: Sequence[str], quick: bool, *, seed: str = "0", alpha: float = 1e-6
) -> tuple[Catalogue, list[Judged], dict[tuple[str, str, str], Kept]]:
    """Judge what is in the store, computing nothing; a case whose controls are not all there has no tolerance and is left out.

    Returns the catalogue, what is judged, and what lies in the store for every check, by claim, variant and case.
    """
    from fpk.catalogue import load_catalogue
    from fpk.command_line.kept import kept
    from fpk.records import judged
    from fpk.runner import Done
    from fpk.store import Store
    from fpk.study import Size
    from fpk.tasks import tasks_of

    catalogue = load_catalogue(studies)
    tasks = tasks_of(
        catalogue, catalogue.selected(names), size=Size("quick" if quick else "full"), root_seed=stored_seed(seed)
    )
    loaded = [(task, kept(Store(store), task.key)) for task in tasks]
    missing = _left_out(loaded)
    whole = [
        Done(task, record.evidence, {**record.provenance})
        for task, record in loaded
        if record.evidence is not None and (task.claim, task.case) not in missing
    ]
    found = {(task.claim, task.variant, task.case): record for task, record in loaded}
    remarks = remarks_of(catalogue, names, "quick" if quick else "full")
    return catalogue, judged(catalogue, whole, alpha=alpha) + remarks, found


def _left_out(loaded: Sequence[tuple[Task, Kept]]) -> set[tuple[str, str]]:
    """Claims and cases that are not whole; says which, and why: damaged ones always, those not stored where others are."""
    damaged = {(task.claim, task.case): record.path for task, record in loaded if record.damaged}
    absent = {(task.claim, task.case) for task, found in loaded if found.evidence is None} - {*damaged}
    named = [f"damaged, so left out: {_case(*case)} ({path})" for case, path in sorted(damaged.items())]
    if len(absent) + len(damaged) < len({(task.claim, task.case) for task, _ in loaded}):
        named += [f"not stored, so left out: {_case(*case)}" for case in sorted(absent)]
    for name in named[:FEW]:
        click.echo(f"fpk: {name}", err=True)
    if len(named) > FEW:
        click.echo(f"fpk: damaged or not stored, so left out: {len(named) - FEW} more", err=True)
    if named:
        click.echo("fpk: to have what is left out: fpk run", err=True)
    return absent | {*damaged}


def _case(claim: str, case: str) -> str:
    return f"{claim} · {case}" if case else claim
