"""Files: written whole or not at all, read as what may come from anywhere."""
