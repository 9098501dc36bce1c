"""Objectives: terms, views and their formulas. Knows no network and no device."""
