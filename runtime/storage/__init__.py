"""Objects in stores: S3, Google Cloud Storage, Azure, and the web. Knows no picture and no batch."""
