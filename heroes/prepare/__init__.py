"""`heroes prepare`: from the file that you have to the file that a fine-tuning job takes.

`command` takes the options, `run` tells and asks; between them: `read` (with `tables`, `workbook`,
`json_rows`) → `kind` → `columns` and `leftover`, or `chats` → the rules of `rows`, `marks` and
`chat_rules`, in the order of `steps` → `write`.
"""
