"""What a run says of itself: run record, areas, STAC item."""
