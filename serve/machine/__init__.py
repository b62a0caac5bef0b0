"""What `serve` finds out about the machine that it runs on."""
