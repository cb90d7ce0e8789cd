"""A disk that is full or read-only at any write: said in words, continued when it is mended."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from ecw_pipeline.errors import MachineError
from ecw_pipeline.stages.unloading import unload
from ecw_pipeline_tests.stages.child import Happening, sync
from ecw_pipeline_tests.stages.interrupted import NEXT_DAY, Prepared, Whole, all_rows

DISK_BYTES = 64 << 20
SCREEN = "before ecw_pipeline.landing.landing.screen_file"
# The fourth file holds nothing but a line that goes to quarantine.
SCREEN_BAD_LINES = (SCREEN,) * 4
LOAD = "before ecw_pipeline.stages.loading._load_export"
PUBLISH = "before ecw_pipeline.warehouse.publish.publish"
# What is being written, and the steps after which there is no room for it.
ROOM_ENDS: dict[str, tuple[str, ...]] = {
    "budget/practice.json": ("before ecw_pipeline.fhir_client.budget.Budget.acquire",),
    "tokens/practice.json": ("after ecw_pipeline.fhir_client.auth.TokenSource._fetch",),
    "ledger.sqlite": ("before ecw_pipeline.ledger.Ledger.intend_export",),
    "offers/practice.json": ("before ecw_pipeline.files.write_json",),
    "manifest.json": (
        "before ecw_pipeline.stages.manifests.keep_manifest",
        "before ecw_pipeline.files.write_json",
    ),
    "/deleted/": ("before ecw_pipeline.bulk_export.download._store",),
    "screened/Condition/00000.ndjson": (SCREEN,),
    "quarantine/Patient/": SCREEN_BAD_LINES,
    ".versions.parquet": ("before ecw_pipeline.warehouse.parquet.write_parquet",),
    "flat/condition/": (
        "before ecw_pipeline.stages.flattening_together._write",
        "before ecw_pipeline.files.finished_file",
    ),
    "state/warehouse.duckdb": (LOAD, "before _duckdb.commit"),
    "data/warehouse.duckdb": ("before shutil.copyfile",),
}
# What is being written, the steps before it, and the folder that is read-only then.
READ_ONLY: dict[str, tuple[tuple[str, ...], str]] = {
    "state/locks/": (("before ecw_pipeline.stages.exports._only_one",), "state/locks"),
    "budget/practice.json": (ROOM_ENDS["budget/practice.json"], "state/budget"),
    "tokens/practice.json": (ROOM_ENDS["tokens/practice.json"], "state/tokens"),
    "ledger.sqlite": (ROOM_ENDS["ledger.sqlite"], "state"),
    "offers/practice.json": (ROOM_ENDS["offers/practice.json"], "state/offers"),
    "landing/practice/": (ROOM_ENDS["manifest.json"], "landing"),
    "log.ndjson": (ROOM_ENDS["/deleted/"], "landing"),
    "quarantine/Patient/": (SCREEN_BAD_LINES, "landing/*/*/quarantine"),
    "flat/condition/": (ROOM_ENDS["flat/condition/"], "flat"),
    "state/warehouse.duckdb": (("after ecw_pipeline.stages.loading._flatten_all",), "state"),
    "data/warehouse.duckdb": ((PUBLISH, "before ecw_pipeline.files.finished_file"), "."),
}
WITHOUT_MOUNTS = "filling a disk, or making a folder read-only for root, takes the right to mount"


def _mount(*options: str) -> None:
    """Mount, or skip the test: what it shows cannot be had otherwise."""
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{WITHOUT_MOUNTS}: {done.stderr.strip()}")


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """Let a folder be a disk of its own."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", str(folder))
    try:
        yield
    finally:
        while folder.is_mount():  # a test that failed may have left another one on top
            subprocess.run(["umount", "--recursive", str(folder)], check=True)


def _fill(filler: Path) -> None:
    """Leave no byte of room."""
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(1 << 20))


def _make_read_only(data: Path, folder: str) -> None:
    """Let nobody write below a folder any more, not even root."""
    place = _newest(data, folder)
    for options in (["--bind", str(place)], ["-o", "remount,bind,ro"]):
        subprocess.run(["mount", *options, str(place)], check=True)


def _newest(data: Path, folder: str) -> Path:
    """The data folder itself, or the folder below it that is meant: the newest export's."""
    return data if folder == "." else max(data.glob(folder))


@pytest.fixture
def data(prepared: Prepared, tmp_path: Path) -> Iterator[Path]:
    """A pulled practice on a small disk of its own, without what is kept between runs."""
    with _small_disk(tmp_path / "data"):
        prepared.begin(tmp_path / "data")
        for name in ("budget", "tokens"):
            (tmp_path / "data" / "state" / name / "practice.json").unlink()
        yield tmp_path / "data"


def _assert_refused(data: Path, steps: tuple[str, ...], happening: Happening, name: str) -> None:
    """A run says what it could not write and why; what is published is as it was."""
    published = (data / "warehouse.duckdb").read_bytes()

    ending = sync(NEXT_DAY, steps, happening)

    assert ending.exit_code == MachineError.exit_code, (name, ending)
    assert name in ending.said, (name, ending.said)
    assert " → " in ending.said
    assert (data / "warehouse.duckdb").read_bytes() == published


def test_a_disk_that_is_full_at_one_write_after_another_is_told_and_made_good(
    prepared: Prepared, after_changes: Whole, data: Path
) -> None:
    filler = data / "filler"
    for name, steps in ROOM_ENDS.items():
        _assert_refused(data, steps, partial(_fill, filler), name)
        filler.unlink()

    assert sync(NEXT_DAY).exit_code == 0
    assert all_rows(data) == after_changes.rows
    assert len(prepared.site.stats()["exports"]) == 1


def test_unloading_to_a_disk_that_is_full_keeps_what_was_unloaded_before(
    prepared: Prepared, data: Path, tmp_path: Path
) -> None:
    with _small_disk(tmp_path / "out"):
        target, filler = tmp_path / "out" / "tables", tmp_path / "out" / "filler"
        unload(data / "warehouse.duckdb", target, ["patient"])
        before = (target / "tables.json").read_bytes()
        _fill(filler)

        with pytest.raises(MachineError, match="no space left"):
            unload(data / "warehouse.duckdb", target)

        assert sorted((tmp_path / "out").iterdir()) == [filler, target]
        assert (target / "tables.json").read_bytes() == before
        filler.unlink()
        assert len(unload(data / "warehouse.duckdb", target)) > 1


def test_unloaded_tables_that_cannot_take_their_place_leave_the_folder_as_it_was(
    prepared: Prepared, data: Path, tmp_path: Path
) -> None:
    """A folder that something is mounted on cannot be renamed."""
    target = tmp_path / "tables"
    unload(data / "warehouse.duckdb", target, ["patient"])
    before = (target / "tables.json").read_bytes()
    mounted: list[Path] = []

    def mount_on_the_new_one(_name: str, done: int, _total: int) -> None:
        if done == 1:
            mounted.extend(tmp_path.glob("tables.*.unloading/whole"))
            _mount("-t", "tmpfs", "tmpfs", str(mounted[0]))

    try:
        with pytest.raises(MachineError):
            unload(data / "warehouse.duckdb", target, ["condition"], mount_on_the_new_one)
    finally:
        subprocess.run(["umount", *map(str, mounted)], check=True)
    assert (target / "tables.json").read_bytes() == before


def test_a_folder_that_is_read_only_at_one_write_after_another_is_told_and_made_good(
    prepared: Prepared, after_changes: Whole, data: Path
) -> None:
    for name, (steps, folder) in READ_ONLY.items():
        _assert_refused(data, steps, partial(_make_read_only, data, folder), name)
        subprocess.run(["umount", str(_newest(data, folder))], check=True)

    assert sync(NEXT_DAY).exit_code == 0
    assert all_rows(data) == after_changes.rows
    assert len(prepared.site.stats()["exports"]) == 1
