"""Objects in stores: S3, Google, Azure, and the web. Knows no picture and no batch."""
