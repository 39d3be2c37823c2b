"""Pure functions: container to OCI runtime spec."""
