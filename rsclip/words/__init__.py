"""Class words, class files, bundled sets, colours, prompts."""
