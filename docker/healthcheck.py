"""The container's HEALTHCHECK: exit status 0 if `/ping` returns 200, else 1. `docker inspect` shows the response."""

from __future__ import annotations

import os
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

TIMEOUT_S = 4  # Docker kills the check after 5 s and would then show nothing


def ping(port: str) -> tuple[int, str]:
    """Return HTTP status and text of `/ping` on the container's own port; status 0 if nothing responds."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/ping", timeout=TIMEOUT_S) as response:
            return response.status, response.read().decode(errors="replace")
    except HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, f"port {port}: {error}"


def main() -> None:
    """Exit with the container's health."""
    status, text = ping(os.environ.get("SAGEMAKER_BIND_TO_PORT") or "8080")
    sys.stdout.write(f"{status} {text}\n")
    sys.exit(status != 200)


if __name__ == "__main__":
    main()
