"""The `ecw` command: one short file per group of commands."""
