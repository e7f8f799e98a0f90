"""snacgi."""
