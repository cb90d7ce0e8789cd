"""From a SQL on FHIR ViewDefinition to DuckDB SQL."""
