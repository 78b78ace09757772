"""Slim objects, the keyed queue and its workers."""
