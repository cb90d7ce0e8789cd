"""The warehouse, from single versions to what readers see."""
