"""The container image: its base, its build and its registry."""
