"""Metrics and logs; imports nothing of ours."""
