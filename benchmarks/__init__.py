"""Measurements that anyone can repeat; results are kept in `benchmarks/results`."""
