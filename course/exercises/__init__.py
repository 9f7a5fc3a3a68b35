"""The exercises: one module for each notebook, with what is handed out, checks and hints."""
