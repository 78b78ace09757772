"""Hosted zones, record sets and their changes."""
