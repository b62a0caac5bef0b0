"""Benchmarks: one module each. `make bench-front-door` runs one."""
