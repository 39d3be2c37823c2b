"""Builds: Dockerfiles to images, one solver for all fronts."""
