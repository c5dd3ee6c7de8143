"""The room 'plots'."""
