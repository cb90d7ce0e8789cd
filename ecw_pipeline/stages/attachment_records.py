"""What `ops` is told of attachments: what came of each, and the text of its file."""

from typing import Any

import duckdb

from ecw_pipeline.attachments.store import Store
from ecw_pipeline.attachments.text import text_of
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline.ledger_rows import Attachment
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.warehouse import attachments
from ecw_pipeline.warehouse.database import transaction

_BATCH_ROWS = 200


def tell_of_attachments(lake: Lake, connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell the warehouse what the ledger has newer; whether there was anything."""
    with transaction(connection):
        attachments.define_view(connection)
    store = Store(lake.folder.attachments)
    told = before = attachments.newest_revision(connection)
    while found := lake.ledger.attachments_after(told, _BATCH_ROWS):
        with transaction(connection):
            attachments.replace_told(connection, [_row(store, one) for one in found])
        told = found[-1].revision
    return told > before


def _row(store: Store, one: Attachment) -> dict[str, Any]:
    is_there = one.state == "fetched" and store.has(one.sha256)
    return {
        "attachment_id": one.attachment_id,
        "connection_id": one.connection_id,
        "state": one.state,
        "error": one.error or None,
        "sha256": one.sha256 or None,
        "size_bytes": one.size_bytes if one.state in ("fetched", "too_large") else None,
        "content_type": one.content_type or None,
        "text": text_of(store.path(one.sha256), one.content_type) if is_there else None,
        "settled_at": parse_instant(one.settled_at),
        "revision": one.revision,
    }
