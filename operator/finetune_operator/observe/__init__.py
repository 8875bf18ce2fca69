"""What the operator has seen: trimmed views of other objects, and the stores that hold them."""
