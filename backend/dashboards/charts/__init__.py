"""Charts as values, drawn as SVG for pages and as PDF for documents."""
