"""Ground floor: schema, datasets, provenance, linear algebra, errors. Imports nothing else of sdespec."""
