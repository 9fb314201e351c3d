"""Looking at a result or a model: truth and scores, methods side by side, layers, words."""
