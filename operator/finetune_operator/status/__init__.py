"""From what was seen to what users read. Pure: `now` is an argument."""
