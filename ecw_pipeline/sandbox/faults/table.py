"""All faults by name. The order is that of nesting: what comes first has the last word."""

from collections.abc import Mapping

from ecw_pipeline.sandbox.faults import (
    anywhere,
    attachments,
    clocks,
    contents,
    kickoffs,
    manifests,
    statuses,
    tokens,
    transfers,
)
from ecw_pipeline.sandbox.faults.fault import Fault

_MODULES = (
    anywhere,
    tokens,
    statuses,
    transfers,
    attachments,
    contents,
    manifests,
    kickoffs,
    clocks,
)

FAULTS: Mapping[str, Fault] = {fault.name: fault for module in _MODULES for fault in module.FAULTS}
