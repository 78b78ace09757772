"""Operators as processes under faults."""
