"""Networks that float32 computes exactly, by construction (METHOD 14)."""
