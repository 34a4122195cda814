"""The Ray that everything runs on: found or started, and which of its nodes do which work."""
