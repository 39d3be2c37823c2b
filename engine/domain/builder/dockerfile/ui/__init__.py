"""What a Dockerfile build is asked, in BuildKit's names: options, where the Dockerfile and its contexts come from."""
