"""Benchmarks: `make bench` drives the whole pipeline and prints what an event costs, process by process."""
