"""MailEgress: forward and reverse DNS of AWS mail egress addresses, kept in agreement."""

__version__ = "0.2.0"
