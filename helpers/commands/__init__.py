"""The commands of `heroes`, a module for each group; `helpers.cli` puts them together."""
