"""The Dagster code location: it merges `defs/` and decides nothing."""

import warnings

import dagster as dg

# Every asset has a backfill policy, which Dagster calls beta once per asset.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from ecw_pipeline.defs.assembly import definitions  # noqa: E402

defs = definitions()
