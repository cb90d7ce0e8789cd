"""The built-in marts: one SQL file each, and the catalog that finds them."""
