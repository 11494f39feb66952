"""A plan that stays up: what is lost is noticed, planned around, loaded elsewhere and sent again."""
