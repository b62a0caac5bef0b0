"""The command line: one module per command, a thin layer over functions that Python code can call."""
