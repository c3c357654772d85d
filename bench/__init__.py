"""Benchmarks: `make bench` drives the whole pipeline and prints what an event costs, by process."""
