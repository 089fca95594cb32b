"""The forms in which calls are put: memory layouts of single arrays, wider losses, arguments left out."""
