"""Write what docs/ has from the code: ``python -m ecw_pipeline.dictionary docs``."""

import sys
from pathlib import Path

from ecw_pipeline.dictionary import html, markdown, troubles
from ecw_pipeline.dictionary.contents import entries
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.stages.tables import all_tables


def pages() -> dict[str, str]:
    """The pages by file name."""
    found = entries(all_tables(None), built_in_marts())
    return {
        "tables.md": markdown.page(found),
        "tables.html": html.page(found),
        "troubleshooting.md": troubles.page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
