"""One endpoint container on this machine, run the way SageMaker runs it: as a process, or as a Docker container.

`process` and `docker` start it; `base` is what both have in common. Several run side by side, each with ports and
directories of its own.
"""
