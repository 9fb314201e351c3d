"""Styles and projects for QGIS and map servers."""
