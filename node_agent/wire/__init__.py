"""Generated from proto/ by `make proto`; seen by codec, client and servicers only."""
