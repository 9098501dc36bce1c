"""What the filters of a network respond to: passes over images, projections, sheets."""
