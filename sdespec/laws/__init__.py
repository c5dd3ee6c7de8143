"""The room 'laws'."""
