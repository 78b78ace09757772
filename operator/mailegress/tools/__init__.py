"""Commands for people: what a receiver of mail sees (``check``), and the kubectl plugin (``plugin``)."""
