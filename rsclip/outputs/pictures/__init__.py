"""Pictures for people: previews, comparisons side by side, matrices."""
