"""The mail corpus: messages written for this project, each beside what is expected of it."""
