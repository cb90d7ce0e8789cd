"""Where Dagster keeps its records: below the data folder, whatever that is."""

import json
import os
from pathlib import Path

from ecw_pipeline.files import private_folder
from ecw_pipeline.settings import Settings

# What `dagster.yaml` says, so that Dagster's own commands work beside it with nothing set.
_SHIPPED = "base_dir: data/dagster\n"
_MINIMAL = f"""\
storage:
  custom:
    module: ecw_pipeline.defs.records
    class: KeptSqliteStorage
    config:
      {_SHIPPED}\
telemetry: {{enabled: false}}
nux: {{enabled: false}}
"""


def dagster_home(settings: Settings) -> Path:
    """The folder for Dagster's records, with its configuration in it.

    That is the `dagster.yaml` of the working folder, where there is one.
    """
    home = private_folder(settings.folder.dagster).resolve()
    shipped = Path("dagster.yaml")
    words = shipped.read_text(encoding="utf-8") if shipped.exists() else _MINIMAL
    words = words.replace(_SHIPPED, f"base_dir: {json.dumps(str(home))}\n")
    known = home / "dagster.yaml"
    if not known.exists() or known.read_text(encoding="utf-8") != words:
        known.write_text(words, encoding="utf-8")
    return home


def prepare_dagster_home(settings: Settings) -> None:
    """Point Dagster at its folder, unless the environment says otherwise."""
    if "DAGSTER_HOME" not in os.environ:
        os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
