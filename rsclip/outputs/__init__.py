"""Every file that is left behind, and how it gets there whole."""
