"""Writing to, and single reads from, the Kubernetes API."""
