"""One endpoint: its specification, its status, its logs, its scaling, and invoking it."""
