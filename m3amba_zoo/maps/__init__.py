"""Maps as files: GeoTIFF with legend, QGIS style, picture, table of areas."""
