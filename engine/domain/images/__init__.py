"""Names and what they point at."""
