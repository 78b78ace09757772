"""``mailegress check``: what a receiver of mail sees of a hostname or of an address. Needs neither cluster nor AWS."""
