"""Masks and scores as Cloud Optimized GeoTIFFs."""
