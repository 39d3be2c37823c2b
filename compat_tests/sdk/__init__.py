"""docker-py as a client."""
