"""BuildKit's wire messages: the `.proto` files, what is compiled of them, and how it is loaded."""
