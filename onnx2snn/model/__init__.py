"""Model files: read, repaired, checked, run as they are, written."""
