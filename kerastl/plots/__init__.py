"""Every picture. Functions draw on the axes given or on a new figure, return what they drew on, and never show."""
