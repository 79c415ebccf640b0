"""Compiled kernels of driftline: arrays in, arrays out; no policy, no I/O, no clock."""

DISTRIBUTION = "driftline"
"""`monitor` refuses to run with a `kernels` package that does not carry this name."""
