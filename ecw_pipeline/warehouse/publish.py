"""Publishing: readers get a complete copy, replaced in one step, and never block the pipeline."""

import shutil
from pathlib import Path

from ecw_pipeline.files import CHUNK_BYTES, finished_file
from ecw_pipeline.warehouse.database import working_warehouse


def publish(working: Path, published: Path) -> None:
    """Replace the published warehouse with what the working one holds now.

    The checkpoint comes first: without it a copied file silently lacks committed rows.

    Raises:
        MachineError: the disk is full; the old copy stays.
    """
    with working_warehouse(working) as connection:
        connection.execute("CHECKPOINT")
        with working.open("rb") as source, finished_file(published) as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
