"""External-dns's own packages, and a real authoritative server in which they write."""
