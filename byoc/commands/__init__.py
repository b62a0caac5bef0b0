"""The command line: one module a command group, each a thin layer over functions that Python code can call."""
