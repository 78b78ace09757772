"""Values that the rules read: AWS, DNS, ownership. No I/O."""
