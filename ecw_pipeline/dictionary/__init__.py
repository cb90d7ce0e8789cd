"""The dictionary: every table and column, as pages for people, made from the views and marts."""
