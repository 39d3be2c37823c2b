"""What the tests talk to engines with: processes, the stock CLI, raw HTTP, terminals, registries, images."""
