"""What is written in an organisation's dedicated channel and meant for an incident: stored first, read second.

`door` is the hatch, `slack` and `mattermost` read what each service documents, `reception` stores what is
meant for an incident and nothing of what is not, `replies` decides, `words` says it in Markdown.
"""
