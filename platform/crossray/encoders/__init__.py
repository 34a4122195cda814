"""Image towers, text towers, projection heads, and where their weights come from."""
