"""BuildKit's API: one module for each service, and how connections come to them."""
