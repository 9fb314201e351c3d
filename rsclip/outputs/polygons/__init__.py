"""Files of polygons in every vector format."""
