"""The MailEgress custom resource in Python: typed spec and status, condition types, reasons, names and
bounds.

Pure values and parsing. Nothing here talks to Kubernetes, AWS or DNS, and nothing here imports other parts
of the operator.
"""
