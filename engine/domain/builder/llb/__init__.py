"""The graph that a build comes down to, in the shape of BuildKit's LLB, and its wire form."""
