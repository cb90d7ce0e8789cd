"""The built-in marts, each on a case small enough to compute by hand."""
