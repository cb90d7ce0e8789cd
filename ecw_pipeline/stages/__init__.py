"""Where engines meet: each stage of the pipeline as a function, used by Dagster, CLI and tests."""
