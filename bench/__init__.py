"""Benchmarks: the whole operator against a real API server and the sandbox's AWS, calls counted by the sandbox."""
