"""Figures as data (`pictures`), and what draws them: plotly, or matplotlib for PNG files."""
