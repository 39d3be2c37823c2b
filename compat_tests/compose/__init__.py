"""`docker compose`."""
