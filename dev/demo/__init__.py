"""The demo, step by step. Each step is a function, so that the end-to-end tests take the same path."""
