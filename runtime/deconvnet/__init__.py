"""The responses of a network's filters: passes over images, projections, sheets. Knows no batch."""
