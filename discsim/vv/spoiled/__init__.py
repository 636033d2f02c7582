"""What may be done to an experiment file; apart from the cases, because it needs Hypothesis, a tool of the developers."""
