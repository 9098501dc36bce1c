"""A bundle at work on a device: its sessions, batches and cache. Knows no verb."""
