"""Starts the app: `python -m serve.app OPTIONS`, where OPTIONS is what `AppOptions.to_json` wrote."""

from __future__ import annotations

import asyncio
import logging
import sys

from serve.app.options import AppOptions
from serve.app.server import run

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    sys.exit(asyncio.run(run(AppOptions.from_json(sys.argv[1]))))
