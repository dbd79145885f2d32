"""Venues: routed orders out, reports in. Each module here stands alone."""
