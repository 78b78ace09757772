"""A sandboxed AWS: Route 53, EC2 addresses and STS as one model, served in process and over the wire."""
