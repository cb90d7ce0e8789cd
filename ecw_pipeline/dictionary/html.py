"""The dictionary as one page for a browser, which needs no network."""

import json
from collections.abc import Sequence
from importlib import resources as package_files

from ecw_pipeline.dictionary.contents import LANDED_ONLY, Entry, as_data

_MARK = "/*DATA*/null"


def page(found: Sequence[Entry]) -> str:
    """The page, with the entries as its data."""
    template = package_files.files(__package__).joinpath("page.html").read_text("utf-8")
    data = {"entries": as_data(found), "landedOnly": LANDED_ONLY}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # No text can end the script it stands in.
    return template.replace(_MARK, text.replace("</", "<\\/"))
