"""The /containers and /exec routes."""
