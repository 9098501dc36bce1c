"""What is minimised: terms, views and their formulas. Knows no network and no device."""
