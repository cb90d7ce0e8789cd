"""How long an export's files still take, by the request budget alone."""

from ecw_pipeline.fhir_client.budget import Budget
from ecw_pipeline.fhir_client.providers import connect
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.lake import Lake


def left_to_fetch(lake: Lake, export: Export) -> str:
    """The files that are still to be fetched and what they take, in words; empty if there are none.

    Where the connection is no longer configured, nobody knows the budget.
    """
    files = sum(file.state == "planned" for file in lake.ledger.files(export.export_id))
    known = {one.connection_id: one for one in lake.settings.connections()}
    if not files or not export.has_arrived or export.connection_id not in known:
        return ""
    windows = connect(known[export.connection_id]).windows
    budget = Budget(lake.folder.budget(export.connection_id), windows, lake.clock)
    seconds = budget.seconds_for(files)
    took = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return f"{files} files, ~{took} of budget"
