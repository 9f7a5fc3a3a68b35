"""Small functions that the course's notebooks import, one module for each task."""
