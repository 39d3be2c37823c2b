"""Container log files."""
