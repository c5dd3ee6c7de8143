"""The room 'fits'."""
