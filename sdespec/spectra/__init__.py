"""The room 'spectra'."""
