"""How trackly is deployed and released: the chart, the bill of materials, the pages as a site."""
