"""From figures with noise, under one network condition or many, to what one should run: arrays in, values out."""
