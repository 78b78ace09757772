"""A small believable internet on loopback: parents, authorities, reverse zones and caching recursors.

``model`` is pure (no sockets, clock passed in), ``service`` serves it over UDP and TCP.
"""
