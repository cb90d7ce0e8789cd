"""What docs/operations.md tells people to type does what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ecw_pipeline_tests.stages.practice import DAY, practice, small_data

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
TABLES = "SELECT patient_id, family_name, source_file, source_line FROM core.patient ORDER BY ALL"


def _type(commands: str, folder: Path) -> None:
    """Run a block in a folder that has the project's environment."""
    (folder / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
    for name in ("python", "ecw"):
        link = folder / ".venv" / "bin" / name
        if not link.is_symlink():
            link.symlink_to(Path(sys.executable).parent / name)
    environment = {**os.environ, "ECW_DATA": "data"}
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_backup_makes_the_warehouse_again_on_another_machine(tmp_path: Path) -> None:
    backup, restore = BLOCKS
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        one.pull(DAY)
        rows = one.rows(TABLES)
        assert one.lake.folder.root == tmp_path / "data"
        _type(backup, tmp_path)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        shutil.copytree(tmp_path / "backup", elsewhere / "backup")

        _type(restore, elsewhere)

        one.set("ECW_DATA", elsewhere / "data")
        shutil.copy(elsewhere / "data" / "warehouse.duckdb", tmp_path / "data" / "warehouse.duckdb")
        assert one.rows(TABLES) == rows
        assert len(rows) == 3


def test_what_may_go_comes_again(tmp_path: Path) -> None:
    with practice(tmp_path, data=small_data(tmp_path / "lines")) as one:
        one.pull(DAY)
        rows = one.rows(TABLES)
        folder = one.lake.folder
        for name in ("flat", "state/budget", "state/tokens", "state/locks"):
            shutil.rmtree(folder.root / name, ignore_errors=True)
        folder.working_warehouse.unlink()
        folder.warehouse.unlink()

        one.load()

        assert one.rows(TABLES) == rows
