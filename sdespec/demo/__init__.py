"""The room 'demo'."""
