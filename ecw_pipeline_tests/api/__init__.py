"""The HTTP API, called over real HTTP against a sandbox."""
