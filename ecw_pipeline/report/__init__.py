"""The report: one HTML page of plots over the marts, which needs no network to be looked at."""
