"""Pictures for people: previews, contact sheets, matrices."""
