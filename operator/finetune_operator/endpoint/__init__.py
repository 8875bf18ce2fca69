"""The HTTPS endpoint that running stages post progress and results to."""
