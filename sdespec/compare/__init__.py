"""Hold results against each other: verdicts with error bars, and claims."""
