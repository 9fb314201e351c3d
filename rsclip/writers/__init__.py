"""What a run leaves behind, one file a module; `staging` publishes them whole."""
