"""Deployment and release of trackly: the chart, the bill of materials, the docs as a site."""
