"""Speaks HTTP and Docker's JSON; decides nothing."""
