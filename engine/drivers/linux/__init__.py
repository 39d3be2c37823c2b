"""System calls, process descriptors, and the one way to run a program."""
