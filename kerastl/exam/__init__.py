"""The exam at the end of the course: its task, and what is looked at in the work that a student hands over."""
