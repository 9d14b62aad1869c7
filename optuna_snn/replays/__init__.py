"""A finished study under other rules: the answers, a table of them, a figure of them."""
