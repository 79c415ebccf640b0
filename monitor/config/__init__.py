"""YAML to validated settings: every error at once, each with its file, line and column."""
