"""Objectives: terms and views, by the names of their formulas. Knows no network and no device."""
