"""Bugs that are planted in copies of the code, and who must find them."""
