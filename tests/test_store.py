"""The store: evidence comes back bit for bit or not at all, under an address that follows the code that computed it."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk import store as store_module
from fpk.charts import Chart, Series
from fpk.errors import StoreError
from fpk.marginals import Estimate, residual, zero_estimate
from fpk.store import JUDGING, TELLING, Store, address, code_digest
from fpk.study import Evidence, evidence

KEY = address({"claim": "a"})
PROVENANCE = {"cost_seconds": 0.1, "versions": {"numpy": np.__version__}}


def sampled_evidence(value: float = 0.25) -> Evidence:
    """Every field of an Estimate in use, with numbers that a rounding would change."""
    rng = np.random.default_rng(1)
    first = Estimate(
        np.array([value, np.pi, -0.0, 5e-324]),
        np.array([np.inf, 0.1, 0.0, 1e-300]),
        covariance=rng.standard_normal((4, 4)),
        samples=12345,
        coarser=rng.standard_normal(4),
        thresholds=rng.random(7),
        threshold_bound=rng.random(7),
        block_means=rng.standard_normal((33, 4)),
        noise_key="euler-maruyama:0:12345:(1.0,):8",
        proven=False,
        source="particles · ½g²",
    )
    curves = {"x": np.linspace(0, 1, 5), "t": np.array([1.0]), "first": np.zeros(0), "second": rng.random(5)}
    return Evidence(first, zero_estimate(4), ("φ1", "φ2", "φ3", "φ4"), curves, "f" * 64)


def charted_evidence() -> Evidence:
    """Charts with every field in use: bars, a band, marks that are not in alphabetic order, categories."""
    rng = np.random.default_rng(2)
    x, y = rng.random(6), rng.random(6)
    rates = Series("rate · α", x, y, y - 0.1, y + np.array([0.1, np.inf, 0.3, np.nan, -0.0, 5e-324]))
    nominal = Series("nominal", x, x, kind="reference")
    power = Chart("Power", "Δ (%)", "P", (rates, nominal), {"δ": 0.3, "MDE": 0.1}, log_x=True, log_y=True)
    classes = Chart("Coverage", "", "covered", (Series("budget", np.arange(2.0), y[:2]),), x_names=("OU", "ring"))
    exact = residual(np.ones(2), 1e-9, proven=True)
    return Evidence(exact, zero_estimate(2), ("a", "b"), charts=(power, classes))


def same_bits(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


def assert_same(a: Evidence, b: Evidence) -> None:
    for side in ("first", "second"):
        one, other = vars(getattr(a, side)), vars(getattr(b, side))
        assert one.keys() == other.keys()
        assert all(same_bits(one[name], other[name]) for name in one), side
    assert a.names == b.names
    assert a.panel == b.panel
    assert a.curves.keys() == b.curves.keys()
    assert all(same_bits(a.curves[name], b.curves[name]) for name in a.curves)
    assert len(a.charts) == len(b.charts)
    for one, other in zip(a.charts, b.charts, strict=True):
        assert_same_chart(one, other)


def assert_same_chart(a: Chart, b: Chart) -> None:
    """Every field; the order of the marks too."""
    for field in fields(Chart):
        if field.name != "series":
            assert getattr(a, field.name) == getattr(b, field.name), field.name
    assert list(a.marks) == list(b.marks)
    for one, other in zip(a.series, b.series, strict=True):
        assert all(same_bits(value, vars(other)[name]) for name, value in vars(one).items()), one.name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "folder that is not there yet" / ".fpk")


# -- round trip -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "saved",
    [
        sampled_evidence(),
        Evidence(residual(np.ones(2), 1e-9, proven=True), zero_estimate(2), ("a", "b")),
        charted_evidence(),
    ],
    ids=["sampled", "exact", "charts"],
)
def test_evidence_comes_back_bit_for_bit_with_its_provenance(store: Store, saved: Evidence) -> None:
    store.save(KEY, saved, PROVENANCE)
    found = store.load(KEY)
    assert found is not None
    assert_same(found[0], saved)
    assert found[1] == PROVENANCE


def test_evidence_of_a_real_comparison_comes_back_bit_for_bit(store: Store) -> None:
    problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.3))
    exact = fpk.exact(problem, times=[1.0])
    found = evidence(fpk.simulate(problem, particles=2000, steps=4, times=[1.0], seed=0), exact)
    store.save(KEY, found, {})
    loaded = store.load(KEY)
    assert loaded is not None
    assert_same(loaded[0], found)


def test_an_absent_key_gives_nothing(store: Store) -> None:
    assert store.load(KEY) is None
    assert store.keys() == []


def test_keys_lists_what_is_stored(store: Store) -> None:
    keys = sorted(address({"claim": name}) for name in "abc")
    for key in keys:
        store.save(key, sampled_evidence(), {})
    assert store.keys() == keys


def test_plain_lists_and_numpy_scalars_of_a_user_are_stored(store: Store) -> None:
    theirs: Any = Estimate([0.0], [0.1], covariance=np.eye(1), samples=np.int64(7), proven=np.bool_(False))  # type: ignore[arg-type]
    store.save(KEY, Evidence(theirs, zero_estimate(1), ("a",)), {})
    found = store.load(KEY)
    assert found is not None
    assert found[0].first.samples == 7
    assert found[0].first.value.tolist() == [0.0]


def test_no_pickle_is_written_or_read(store: Store) -> None:
    store.save(KEY, sampled_evidence(), {})
    with np.load(store.path(KEY), allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)
    np.savez(store.path(KEY), head=np.array([{"digest": ""}], dtype=object))
    assert store.load(KEY) is None


# -- damage -----------------------------------------------------------------------------------------------------------------


def test_every_truncation_is_detected(store: Store) -> None:
    store.save(KEY, sampled_evidence(), PROVENANCE)
    path, whole = store.path(KEY), store.path(KEY).read_bytes()
    for length in {0, 1, 3, 4, 30, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1}:
        path.write_bytes(whole[:length])
        assert store.load(KEY) is None, f"{length} of {len(whole)} bytes"


def test_a_changed_byte_is_detected_or_changes_nothing(store: Store) -> None:
    """Some bytes of an archive (dates, paddings) mean nothing; no byte may change what is read."""
    store.save(KEY, sampled_evidence(), PROVENANCE)
    path, whole = store.path(KEY), store.path(KEY).read_bytes()
    noticed = 0
    positions = range(0, len(whole), max(1, len(whole) // 400))
    for position in positions:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        found = store.load(KEY)
        noticed += found is None
        if found is not None:
            assert_same(found[0], sampled_evidence())
    assert noticed > 0.5 * len(positions)


def rewritten(path: Path, change: Any) -> None:
    """Tamper with a record as somebody would who knows the format, but not the digest."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    head = json.loads(bytes(arrays["head"]).decode())
    change(arrays, head)
    arrays["head"] = np.frombuffer(json.dumps(head, sort_keys=True).encode(), np.uint8)
    np.savez(path, **arrays)


def shrink_difference(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    arrays["first.value"] = 0 * arrays["first.value"]


def call_it_proven(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["first"]["proven"] = True


def inflate_samples(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["first"]["samples"] = 10**9


def rename_functionals(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["names"] = head["names"][::-1]


def claim_another_panel(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["panel"] = "0" * 64


def backdate(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["provenance"]["versions"]["numpy"] = "1.0"


def add_an_array(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    arrays["second.covariance"] = np.eye(4)


@pytest.mark.parametrize(
    "change",
    [
        shrink_difference,
        call_it_proven,
        inflate_samples,
        rename_functionals,
        claim_another_panel,
        backdate,
        add_an_array,
    ],
)
def test_a_tampered_record_is_not_read(store: Store, change: Any) -> None:
    store.save(KEY, sampled_evidence(), PROVENANCE)
    rewritten(store.path(KEY), lambda arrays, head: None)
    assert store.load(KEY) is not None, "rewriting alone changes nothing"
    rewritten(store.path(KEY), change)
    assert store.load(KEY) is None


def lift_a_point(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    arrays["chart.0.0.y"] = arrays["chart.0.0.y"] + 1e-9


def rename_a_series(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["charts"][0]["series"][0]["name"] = "stated"


def move_a_mark(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["charts"][0]["marks"][0][1] = 0.2


def lose_a_chart(arrays: dict[str, Any], head: dict[str, Any]) -> None:
    head["charts"].pop()


@pytest.mark.parametrize("change", [lift_a_point, rename_a_series, move_a_mark, lose_a_chart])
def test_tampered_charts_are_not_read(store: Store, change: Any) -> None:
    store.save(KEY, charted_evidence(), PROVENANCE)
    rewritten(store.path(KEY), change)
    assert store.load(KEY) is None


def test_a_record_moved_to_another_key_is_not_read(store: Store) -> None:
    other = address({"claim": "b"})
    store.save(KEY, sampled_evidence(), PROVENANCE)
    store.path(other).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(store.path(KEY), store.path(other))
    assert store.load(other) is None


def test_a_damaged_record_is_replaced_by_the_next_save(store: Store) -> None:
    store.save(KEY, sampled_evidence(), PROVENANCE)
    store.path(KEY).write_bytes(b"PK\x03\x04 nothing")
    assert store.load(KEY) is None
    store.save(KEY, sampled_evidence(), PROVENANCE)
    assert store.load(KEY) is not None


def test_a_damaged_record_is_told_from_an_absent_one_and_a_whole_one(store: Store) -> None:
    assert not store.damaged(KEY)
    store.save(KEY, sampled_evidence(), PROVENANCE)
    assert not store.damaged(KEY)
    store.path(KEY).write_bytes(store.path(KEY).read_bytes()[:-1])
    assert store.damaged(KEY)


def test_arrays_are_read_as_numpy_reads_them(store: Store) -> None:
    """Every shape and order of memory, the empty and the scalar among them."""
    store.path(KEY).parent.mkdir(parents=True)
    saved = {
        "plain": np.arange(6.0).reshape(2, 3), "fortran": np.asfortranarray(np.arange(24).reshape(2, 3, 4)), "empty": np.zeros((0, 4)),
        "scalar": np.array(3.5), "bool": np.array([True, False]), "big": np.arange(3, dtype=">i2"),
    }  # fmt: skip
    np.savez(store.path(KEY), **saved)  # type: ignore[arg-type]
    found = store_module._arrays_in(store.path(KEY).read_bytes())
    with np.load(store.path(KEY)) as archive:
        assert set(archive.files) == set(found) == set(saved)
        assert all(same_bits(found[name], archive[name]) for name in saved)
    assert all(array.flags.writeable for array in found.values())


def test_an_array_in_a_newer_version_of_the_format_is_read_too() -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.arange(5.0), version=(2, 0))
    assert same_bits(store_module._array_in(file.getvalue()), np.arange(5.0))


# -- writing ----------------------------------------------------------------------------------------------------------------


def parts(store: Store) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file() and path.suffix != ".npz"]


def test_a_crash_between_write_and_rename_leaves_the_old_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(KEY, sampled_evidence(0.25), PROVENANCE)
    before = store.path(KEY).read_bytes()

    def crash(source: Any, target: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            store.save(KEY, sampled_evidence(0.5), PROVENANCE)
    assert store.path(KEY).read_bytes() == before
    assert parts(store) == []
    store.save(KEY, sampled_evidence(0.5), PROVENANCE)
    found = store.load(KEY)
    assert found is not None
    assert found[0].first.value[0] == 0.5


def test_what_is_renamed_is_complete_and_flushed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    to_disk = "fdatasync" if hasattr(os, "fdatasync") else "fsync"
    replace, flush = os.replace, getattr(os, to_disk)

    def watched_replace(source: Any, target: Any) -> None:
        with np.load(source) as archive:
            events.append(f"replace {'head' in archive.files}")
        assert Path(source).parent == Path(target).parent, "a rename is atomic only within one folder"
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched_replace)
    monkeypatch.setattr(os, to_disk, lambda file: (events.append("flush"), flush(file)))
    store.save(KEY, sampled_evidence(), PROVENANCE)
    assert events == ["flush", "replace True"]


def test_records_are_readable_by_whom_the_mask_allows(store: Store) -> None:
    mask = os.umask(0o022)
    try:
        store.save(KEY, sampled_evidence(), PROVENANCE)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(store.path(KEY).stat().st_mode) == 0o644


def test_what_somebody_else_keeps_in_a_store_is_theirs(store: Store) -> None:
    """However old it is: names like those of marks and parts, in places and forms that the store never uses."""
    theirs = [store.root / name for name in ("run-of-the-lab.csv", "records/downloads/film.part", "film.part")]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    assert store.left_over(remove=True) == []
    assert all(path.read_text() == "mine" for path in theirs)


def test_what_others_left_an_hour_ago_is_swept_and_what_they_may_be_writing_is_not(store: Store) -> None:
    store.save(KEY, sampled_evidence(), PROVENANCE)
    old, new = (store.path(KEY).with_name(f"{name}.part") for name in ("old", "new"))
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert store.left_over() == store.left_over(remove=True) == [old]
    assert parts(store) == [new]
    assert store.load(KEY) is not None


@pytest.mark.parametrize("where", ["savez", "replace"])
def test_a_full_disk_is_a_store_error_with_the_path(store: Store, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    store.save(KEY, sampled_evidence(0.25), PROVENANCE)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np if where == "savez" else os, where, full)
        with pytest.raises(StoreError, match=r"cannot write .*\.npz.*No space left.*--store"):
            store.save(KEY, sampled_evidence(0.5), PROVENANCE)
    found = store.load(KEY)
    assert found is not None
    assert found[0].first.value[0] == 0.25
    assert parts(store) == [], "no half-written file is left to fill the disk further"


def test_a_file_in_the_way_of_the_store_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / ".fpk").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write .*\.fpk"):
        Store(tmp_path / ".fpk").save(KEY, sampled_evidence(), PROVENANCE)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_without_write_permission_is_a_store_error(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(StoreError, match="cannot write"):
            Store(tmp_path / ".fpk").save(KEY, sampled_evidence(), PROVENANCE)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


@pytest.mark.parametrize("locked", ["records", "records/shard"])
def test_a_folder_that_may_not_be_looked_into_is_no_empty_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    """As for somebody who is not the superuser, who looks into everything."""
    store.save(KEY, sampled_evidence(), PROVENANCE)
    shut = store.path(KEY).parent if locked == "records/shard" else store.path(KEY).parents[1]

    def denied(real: Any) -> Any:
        def call(path: Path, *args: Any, **more: Any) -> Any:
            if shut in path.parents or (path == shut and real.__name__ == "iterdir"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *args, **more)

        return call

    with monkeypatch.context() as patch:
        for name in ("stat", "iterdir"):
            patch.setattr(Path, name, denied(getattr(Path, name)))
        for ask in (lambda: store.load(KEY), lambda: store.damaged(KEY), lambda: store.has(KEY), store.keys):
            with pytest.raises(StoreError, match=r"cannot be read: Permission denied\. Its owner can"):
                ask()
    assert store.keys() == [KEY]


# -- addresses --------------------------------------------------------------------------------------------------------------


def test_an_address_depends_on_every_part_and_not_on_their_order() -> None:
    base = {"claim": "S0.E19", "variant": "g² + 2 %", "seed": 3}
    assert address(base) == address(dict(reversed(base.items())))
    others = [address(base | {name: "changed"}) for name in base] + [address(base | {"new": 0})]
    assert len({address(base), *others}) == 1 + len(others)
    assert len(address(base)) == 64


SOURCE = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ("# why\n\n\ndef f( x ):\n    return (x +\n            1)  # because\n", True),
        ("def f(x):\n    return x + 2\n", False),
        ("def f(y):\n    return y + 1\n", False),
        ("def f(x):\n    'documented'\n    return x + 1\n", False),
    ],
    ids=["comments and layout", "a number", "a name", "a docstring"],
)
def test_a_digest_follows_the_syntax_tree(tmp_path: Path, changed: str, same: bool) -> None:
    one, other = tmp_path / "one" / "f.py", tmp_path / "other" / "f.py"
    for path, text in ((one, SOURCE), (other, changed)):
        path.parent.mkdir()
        path.write_text(text)
    assert (code_digest(one) == code_digest(other)) is same
    assert (code_digest(one.parent) == code_digest(other.parent)) is same


def engine_digest_of(tree: Path) -> str:
    """The engine digest of a copied fpk, in a process of its own."""
    code = "from fpk.store import engine_digest; print(engine_digest())"
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_change_of_a_computing_module_changes_the_address_and_one_of_a_telling_module_does_not(
    tmp_path: Path,
) -> None:
    package = Path(fpk.__file__).parent
    shutil.copytree(package, tmp_path / "fpk", ignore=shutil.ignore_patterns("__pycache__"))
    before = engine_digest_of(tmp_path)
    for telling in ("comparison.py", "records.py", "reporting.py", "command_line/__init__.py"):
        with (tmp_path / "fpk" / telling).open("a") as file:
            file.write("\nCHANGED = 1\n")
    with (tmp_path / "fpk" / "schedules.py").open("a") as file:
        file.write("\n\n# a remark\n")
    assert engine_digest_of(tmp_path) == before
    with (tmp_path / "fpk" / "particles" / "euler_maruyama.py").open("a") as file:
        file.write("\nCHANGED = 1\n")
    assert engine_digest_of(tmp_path) != before


def test_modules_that_do_not_count_are_not_imported_by_computing_ones() -> None:
    """Otherwise a change in one of them could change evidence and leave its address."""
    import ast

    package = Path(fpk.__file__).parent
    silent = {f"fpk.{name}" for name in (TELLING | JUDGING) - {"verdict"}}  # verdict: only the names of the outcomes
    for file in package.rglob("*.py"):
        home = Path(file.relative_to(package).parts[0]).stem
        if home in TELLING | JUDGING or home == "battery" or file == package / "__init__.py":
            continue  # examinations judge: a study of them says so, see below
        imported = {node.module for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)}
        assert not imported & silent, f"{file.name} imports {imported & silent}"


def test_studies_of_examinations_depend_on_the_rules_of_judging() -> None:
    from fpk.catalogue import load_catalogue

    for study in load_catalogue(Path(fpk.__file__).parents[1] / "studies").studies:
        if study.claim.startswith(("bugs.", "likelihood.", "clients.")):
            assert study.judging, study.claim


def test_every_module_about_reports_is_telling() -> None:
    reporting = {"records", "runner", "reporting", "figures", "command_line", "tour"}
    present = {file.stem for file in Path(store_module.__file__).parent.glob("*.py")}
    assert reporting <= TELLING
    assert {"svg", "wording"} & present <= TELLING
