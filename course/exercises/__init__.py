"""The exercises, a module for each notebook: grading functions, and what is handed out."""
