"""Pure rules: what a friend is, what must be true of their namespace, and how to get there."""
