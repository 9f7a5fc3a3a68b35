"""`heroes prepare`: from the file that you have to the file that a fine-tuning job takes.

`command` takes the options; `run` reads, asks, writes and concludes, in the words of `tell`.
1. `read` (with `tables`, `workbook`, `json_rows`): a file becomes a DataFrame, with notes.
2. `steps` tells chats from pairs; `chats` and `columns` bring them into one spelling.
3. `steps` applies the rules in order (columns in `leftover`, rows in `rules`, habits of texts in
   `marks`, chats in `chat_rules`). Each is a function from a DataFrame to a better one;
   `suggestion` compares the two, and the difference is what the user is asked about.
4. `write` splits the rows, writes the files and checks them.

`texts.toml` has what is said of each rule, note and error, and the names of columns.
"""
