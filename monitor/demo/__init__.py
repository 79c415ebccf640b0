"""The demonstration: a delay model's prediction logs, from a real winter."""
