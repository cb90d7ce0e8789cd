"""The whole job, through HTTP and Dagster."""
