"""The command line: settings, wiring, probes."""
