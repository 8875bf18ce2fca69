"""From a FineTuneJob to the objects it wants. Pure: no clock, no environment, no cluster."""
