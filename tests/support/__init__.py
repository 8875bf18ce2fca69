"""Shared by the test tiers."""
