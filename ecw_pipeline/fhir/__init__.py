"""Words every layer shares: resource types, instants, references, element structure."""
