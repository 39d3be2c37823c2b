"""One module per resource: decode, one domain call, encode."""
