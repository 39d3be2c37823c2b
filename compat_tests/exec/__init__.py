"""Programs started in running containers."""
