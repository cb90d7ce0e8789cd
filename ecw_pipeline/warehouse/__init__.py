"""The DuckDB warehouse: load, publish, marts."""
