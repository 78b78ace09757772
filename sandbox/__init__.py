"""A local world that behaves like the real one: control plane, AWS and DNS. Never shipped in the image."""
