"""The built-in tables: one ViewDefinition JSON each, and the catalog that finds them."""
