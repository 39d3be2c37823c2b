"""Black-box tests of `docker cp`, export, changes and commit."""
