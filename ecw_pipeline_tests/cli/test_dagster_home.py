"""Where Dagster's records are, for our commands and for its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from ecw_pipeline.cli.dagster_home import dagster_home, prepare_dagster_home
from ecw_pipeline.settings import Settings

TOP = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ECW_DATA", str(tmp_path / "else where"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return Settings.from_environment()


def test_dagsters_records_follow_the_data_folder(settings: Settings, tmp_path: Path) -> None:
    home = dagster_home(settings)

    words = (home / "dagster.yaml").read_text(encoding="utf-8")
    assert home == tmp_path / "else where" / "dagster"
    assert re.findall(r'base_dir: "(.*)"', words) == [str(home)] * 3
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.run_retries_enabled
    assert (home / "history" / "runs" / "index.db").exists()


def test_away_from_the_projects_folder_dagster_keeps_what_is_needed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    home = dagster_home(settings)

    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert not instance.telemetry_enabled
    assert (home / "history" / "runs" / "index.db").exists()


def test_a_changed_configuration_takes_the_place_of_its_copy(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dagster_home(settings)

    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: true}\n", encoding="utf-8")

    assert (dagster_home(settings) / "dagster.yaml").read_text() == "telemetry: {enabled: true}\n"


def test_a_home_of_ones_own_is_left_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "mine"))

    prepare_dagster_home(settings)

    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "mine")
    assert not settings.folder.dagster.exists()


def test_dagsters_own_commands_work_with_nothing_set(tmp_path: Path) -> None:
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(TOP / name, tmp_path)

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dagster", "definitions", "validate"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "dagster" / "history" / "runs" / "index.db").exists()
