"""Speed and memory beside real dockerd: the same scenario against two sockets in turn, medians and ratios."""
