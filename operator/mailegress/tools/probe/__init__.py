"""``kubectl mailegress probe``: what a pod sees of a mail server on port 25, and what follows from it."""
