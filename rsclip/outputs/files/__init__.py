"""How outputs reach their final names: whole or not at all."""
