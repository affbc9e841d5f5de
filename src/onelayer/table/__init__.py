"""Raw tables: reading them, and the `Schema` that turns their columns into numbers."""
