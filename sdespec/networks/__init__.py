"""The room 'networks'."""
