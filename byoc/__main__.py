"""The program `byoc`: runs the command line, and turns failures into one line and an exit status."""

from __future__ import annotations

import sys

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from byoc import aws
from byoc.commands import terminal
from byoc.commands.app import assemble
from byoc.errors import ByocError

__all__ = ["main"]


def main() -> None:
    """Run the command line. Exit status 0: success, 1: failure, 2: invalid options or arguments, 130: interrupted."""
    try:
        assemble()()
    except ByocError as error:
        terminal.error(str(error))
    except (BotoCoreError, ClientError, Boto3Error) as error:
        terminal.error(str(aws.explain(error)))
    except OSError as error:  # such as a full disk, or a file without read permission
        terminal.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    else:
        return
    sys.exit(1)


if __name__ == "__main__":
    main()
