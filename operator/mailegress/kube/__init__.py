"""The API server: watch adapter, writes, events. The only importer of kopf."""
