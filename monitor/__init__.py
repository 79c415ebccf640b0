"""The driftline daemon. An application, not a library: see ARCHITECTURE.md."""
