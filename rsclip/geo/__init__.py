"""Where a grid lies, how large its pixels are, how much ground they cover."""
