"""tritonserver: its command line, and talking to it."""
