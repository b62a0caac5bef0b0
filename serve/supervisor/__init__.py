"""Starts, watches, restarts and stops the children that the plan names."""
