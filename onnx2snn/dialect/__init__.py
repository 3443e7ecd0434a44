"""The SNN dialect: what a converted file holds."""
