"""The shipped base model, superhero-mini, and everything needed to make it again."""
