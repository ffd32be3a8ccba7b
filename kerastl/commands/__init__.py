"""What the command line does: each command one file, with a function `run`."""
