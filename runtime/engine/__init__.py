"""A bundle running on a device: its sessions, batches and cache. Knows no verb."""
