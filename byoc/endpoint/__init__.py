"""One endpoint: what it is to be, how it is, and asking it."""
