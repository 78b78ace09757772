"""Authoritative and recursive look-ups. The only importer of dnspython."""
