"""What the operator and its images agree on. Standard library and pydantic only, so that both worlds can import it."""
