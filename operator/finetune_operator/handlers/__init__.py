"""Thin kopf glue: events into stores and queue. No decisions."""
