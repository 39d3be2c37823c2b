"""Wharf: a Docker Engine in Python. README.md in this folder has the layer picture."""
