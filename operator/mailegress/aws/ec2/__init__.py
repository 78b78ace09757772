"""Elastic IPs, NAT gateways and PTRs."""
