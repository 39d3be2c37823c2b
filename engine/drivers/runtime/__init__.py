"""The OCI runtime (runc, crun) and conmon."""
