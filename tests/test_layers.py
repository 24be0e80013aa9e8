"""The architecture, read from the syntax trees: who may import whom, who makes verdicts, and how long things may get."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fpk

PACKAGE = Path(fpk.__file__).parent
STUDIES = PACKAGE.parent / "studies"

#: Every module (or package) imports only from lines above its own; those on one line never import each other, except within a package.
LAYERS = (
    ("errors", "check_context", "instructions", "certificate_check", "shown"),
    ("atomic_files", "formula_text", "counts", "scalars"),
    ("kept_loops", "tracing", "symbolic", "array_libraries", "configuration"),
    ("compiled_functions",),
    ("laws", "schedules", "grids"),
    ("panels", "coefficients", "expressions"),
    ("problem", "marginals", "verdict"),
    ("transformations", "paths", "independence", "moments", "fields"),
    ("closed_form", "fokker_planck", "particles", "problems"),
    ("samplers", "models"),
    ("chains",),
    ("difference", "rates", "sequential"),
    ("remedies",),
    ("refinement", "comparison", "orders", "planning", "calibration", "charts"),
    ("study", "mutants"),
    ("catalogue",),
    ("store", "diagnosis"),
    ("tasks",),
    ("cluster",),
    ("runner",),
    ("records",),
    ("kill_matrix", "changes", "certificates"),
    ("formula_kinds",),
    ("formulas",),
    ("svg", "wording"),
    ("cards",),
    ("battery",),
    ("testing", "tables", "exports", "notebook", "strategies", "junit", "runs"),
    ("figures",),
    ("sections",),
    ("rendering",),
    ("reporting",),
    ("sessions", "hypothesis_examples"),
    ("session_reports",),
    ("tour", "pytest_plugin", "compile_ahead", "reference"),
    ("command_line",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ROUTES = {"closed_form", "fokker_planck", "particles", "problems"}
FILES = sorted(PACKAGE.rglob("*.py"))
#: Without the scripts that show a mistake of another library with that library alone.
OURS = FILES + sorted(f for f in STUDIES.rglob("*.py") if f.parent.name != "reproductions")
MAX_LINES, MAX_FUNCTION, MAX_DOCUMENTED = 400, 60, 80


def named(file: Path) -> str:
    return str(file.relative_to(PACKAGE.parent))


def module_of(file: Path) -> str:
    """Dotted name below fpk: ``laws.gaussian``, ``study``, and an empty string for fpk itself."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def type_checking(tree: ast.Module) -> set[ast.AST]:
    """Nodes that only a type checker runs."""
    guards = (n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test))
    return {inner for guard in guards for inner in ast.walk(guard)}


def imports(file: Path, *, deferred: bool = True) -> Iterator[str]:
    """Dotted names imported, those inside functions too if ``deferred``; relative ones resolved."""
    tree = ast.parse(file.read_text())
    ignored = set() if deferred else type_checking(tree)
    inside = {inner for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) for inner in ast.walk(n)}
    for node in ast.walk(tree):
        if node in ignored or (not deferred and node in inside):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level or STUDIES in file.parents, f"{named(file)}: relative import"
            if node.module and not node.level:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(file: Path, *, deferred: bool = True) -> set[str]:
    """Modules of fpk imported by a file, below fpk."""
    known = {module_of(f) for f in FILES}
    found = {name.removeprefix("fpk.") for name in imports(file, deferred=deferred) if name.startswith("fpk.")}
    return found & known


def test_every_module_has_its_layer() -> None:
    assert {module_of(file).partition(".")[0] for file in FILES} - {""} <= set(LEVEL)


@pytest.mark.parametrize("file", [f for f in FILES if module_of(f)], ids=module_of)
def test_a_module_imports_only_from_layers_above(file: Path) -> None:
    own = module_of(file).partition(".")[0]
    for module in imported_modules(file):
        other = module.partition(".")[0]
        if other == own:
            continue
        allowed = LEVEL[other] < LEVEL[own]
        assert allowed, f"{named(file)} (layer {LEVEL[own]}) imports fpk.{module} (layer {LEVEL[other]})"


def test_the_package_root_imports_nothing_by_itself() -> None:
    assert not imported_modules(PACKAGE / "__init__.py")


@pytest.mark.parametrize("name", ["comparison", "orders", "rates", "refinement", "difference", "records"])
def test_judges_cannot_know_where_numbers_came_from(name: str) -> None:
    found = {module.partition(".")[0] for module in imported_modules(PACKAGE / f"{name}.py")}
    assert not found & ROUTES


def test_imports_have_no_cycles() -> None:
    graph = {module_of(file): imported_modules(file) - {module_of(file)} for file in FILES if module_of(file)}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in graph[module]:
                # A package imports its own modules, and they may import the package's base: only whole modules count.
                if not module.startswith(f"{other}.") and not other.startswith(f"{module}."):
                    visit(other, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_only_figures_imports_matplotlib() -> None:
    drawing = {named(f) for f in OURS if any(name.split(".")[0] == "matplotlib" for name in imports(f))}
    assert drawing == {f"fpk/figures/{name}.py" for name in ("charts", "drawing", "frames")}


def test_optional_packages_are_imported_only_where_they_are_used() -> None:
    optional = {"distributed", "dask", "torch", "jax", "sklearn", "xarray", "h5netcdf"}
    for file in (f for f in OURS if f.parent.name != "examples"):
        assert not optional & {name.split(".")[0] for name in imports(file, deferred=False)}, named(file)


def calls_of(file: Path, name: str) -> list[int]:
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return [c.lineno for c in calls if name in (getattr(c.func, "id", ""), getattr(c.func, "attr", ""))]


def test_only_comparison_and_orders_make_verdicts() -> None:
    assert {named(f) for f in OURS if calls_of(f, "Verdict")} == {"fpk/comparison.py", "fpk/orders.py"}


def test_studies_never_judge() -> None:
    """A study hands over evidence; comparing inside it would hide the numbers from the records.

    In calibration verdicts are the numbers; examples are programs.
    """
    for file in sorted(f for f in STUDIES.rglob("*.py") if f.parent.name not in ("calibration", "examples")):
        for name in ("compare", "settle", "vanishes", "below_zero"):
            assert not calls_of(file, name), f"{named(file)} calls {name}"


def test_nothing_is_pickled() -> None:
    for file in OURS:
        assert not {"pickle", "cloudpickle", "joblib", "shelve", "marshal"} & {n.split(".")[0] for n in imports(file)}


#: Times a loop over numba's own generator, which has no other interface.
OTHERS_RANDOMNESS = "studies/performance/_particle_baselines.py"


def test_no_global_randomness() -> None:
    for file in (f for f in OURS if named(f) != OTHERS_RANDOMNESS):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
                assert node.attr[0].isupper() or node.attr == "default_rng", f"{named(file)}:{node.lineno} {node.attr}"


def test_running_never_reads_the_baseline() -> None:
    for file in OURS:
        assert "reports/baseline" not in file.read_text(), named(file)


@pytest.mark.parametrize("file", OURS, ids=named)
def test_files_stay_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("file", OURS, ids=named)
def test_functions_stay_short(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef):
            last = node.body[-1].end_lineno or 0
            documented = ast.get_docstring(node, clean=False)
            start = node.body[0].end_lineno if documented else node.lineno
            assert last - (start or 0) < MAX_FUNCTION, f"{named(file)}: {node.name} is too long"
            assert last - node.lineno < MAX_DOCUMENTED, f"{named(file)}: {node.name} is too long with its docstring"


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc", "tools"}
    assert not drawers & {
        part.strip("_") for file in OURS for part in file.relative_to(PACKAGE.parent).with_suffix("").parts
    }


@pytest.mark.parametrize("file", OURS, ids=named)
def test_modules_open_with_a_docstring_and_public_things_have_one(file: Path) -> None:
    tree = ast.parse(file.read_text())
    assert ast.get_docstring(tree), f"{named(file)} has no docstring"
    if STUDIES in file.parents:
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{named(file)}: {node.name} has no docstring"


@pytest.mark.parametrize("file", FILES, ids=named)
def test_every_function_is_annotated(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            assert not bare, f"{named(file)}:{node.lineno} {node.name}: {bare}"
            assert node.returns is not None, f"{named(file)}:{node.lineno} {node.name}: return"
