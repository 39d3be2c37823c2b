"""A container's life."""
