"""Fails to load, for a reason that must reach the log."""


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        raise RuntimeError(f"the dictionary of {args['model_name']} is missing")
