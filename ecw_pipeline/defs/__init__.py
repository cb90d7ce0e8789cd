"""All of Dagster: one short file per stage. Nothing below this folder imports Dagster."""
