"""snaxum."""
