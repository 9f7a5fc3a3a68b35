"""The commands of `heroes`, a module for each group; `heroes.app` puts them together."""
