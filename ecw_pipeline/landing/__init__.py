"""From received NDJSON to checked lines: rules, quarantine, screening."""
