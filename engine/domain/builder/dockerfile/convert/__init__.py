"""A Dockerfile to LLB and an image configuration."""
