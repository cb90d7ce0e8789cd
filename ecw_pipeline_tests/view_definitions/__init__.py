"""The built-in tables: that they compile, count right, and hold what the resources say."""
