"""`heroes prepare`: from the file that you have to the file that a fine-tuning job takes.

read → columns or chats → rows and marks (the suggestions) → write: one module each.
"""
